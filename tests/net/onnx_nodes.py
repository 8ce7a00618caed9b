#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""onnx_nodes.py [--bless] TETC: the node tests of ONNX (Debian's libonnx-testdata), imported, run, and compared, by tier.

Each is a model of one node with inputs and expected outputs. Inputs that say a shape, or where to cut, are constants of the imported
model, as they are in networks. Floats agree within 1e-3 relative and 1e-5 absolute, all else bit for bit. failures.txt beside this
file names the tests that fail, each with what was said: one that passes although it is there is a failure, too. --bless writes it
anew."""
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = '/usr/share/libonnx-testdata/data/node'
sys.path.append(os.path.join(HERE, '..', 'driver'))
try:
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper
except ImportError:
    if sys.executable == '/usr/bin/python3':
        print('1..0 # SKIP python3-onnx is not installed')
        sys.exit(0)
    os.execv('/usr/bin/python3', ['/usr/bin/python3'] + sys.argv)
from tap import case, end  # noqa: E402

TIERS = {
    'classifiers': 'Conv MaxPool AveragePool GlobalAveragePool GlobalMaxPool Gemm MatMul Relu LeakyRelu Sigmoid Tanh Softmax LogSoftmax Concat '
                   'BatchNormalization Flatten Reshape Add Mul Dropout Identity Constant Squeeze Unsqueeze',
    'detectors, audio': 'ConvTranspose Resize Upsample Pad Slice Clip Split Transpose ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 '
                        'ReduceL2 ReduceLogSum ReduceLogSumExp ReduceSumSquare Abs Ceil Cos Div Elu Equal Erf Exp Expand Floor Gather Greater '
                        'GreaterOrEqual HardSigmoid HardSwish Less LessOrEqual Log Max Mean Min Neg Not And Or Xor Pow PRelu Reciprocal Round '
                        'Selu Sign Sin Softplus Softsign Sqrt Sub Sum Tile Where Cast ArgMax ArgMin DepthToSpace SpaceToDepth ThresholdedRelu '
                        'InstanceNormalization LRN Shape Size Mod Celu',
    'quantised': 'QLinearConv QLinearMatMul ConvInteger MatMulInteger QuantizeLinear DequantizeLinear DynamicQuantizeLinear',
    'sequences': 'LSTM GRU RNN LayerNormalization CumSum Einsum GatherElements GatherND OneHot TopK Trilu Scan Gelu Attention ScatterElements',
}
TIER_OF = {op: tier for tier, ops in TIERS.items() for op in ops.split()}
# Inputs that are constants in networks: by operator, from which input on.
FIXED = {'Reshape': 1, 'Slice': 1, 'Pad': 1, 'Resize': 1, 'Upsample': 1, 'Expand': 1, 'Tile': 1, 'Squeeze': 1, 'Unsqueeze': 1, 'Split': 1,
         'ReduceSum': 1, 'OneHot': 1, 'TopK': 1, 'Clip': 1, 'CumSum': 1, 'Trilu': 1, 'Dropout': 1}


def tensors(folder, kind):
    out = []
    while os.path.exists(path := os.path.join(folder, 'test_data_set_0', f'{kind}_{len(out)}.pb')):
        with open(path, 'rb') as f:
            out.append(numpy_helper.to_array(onnx.TensorProto.FromString(f.read())))
    return out


def prepared(folder):
    """The model, its inputs by name that are given when it runs, the expected outputs."""
    model = onnx.load(os.path.join(folder, 'model.onnx'))
    graph, values = model.graph, tensors(folder, 'input')
    names = [i.name for i in graph.input]
    fixed = set()
    for node in graph.node:
        fixed |= set(node.input[FIXED.get(node.op_type, len(node.input)):])
    given = dict(zip(names, values))
    for name in fixed & set(given):
        graph.initializer.append(numpy_helper.from_array(given.pop(name), name))
        del graph.input[[i.name for i in graph.input].index(name)]
    return model, given, dict(zip([o.name for o in graph.output], tensors(folder, 'output')))


def tell(*command):
    p = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return p.returncode, p.stdout + p.stderr


def short(said):
    lines = [x for x in said.splitlines() if 'error' in x] or said.splitlines() or ['nothing is said']
    return re.sub(r'/\S*/', '', lines[0])[:150]


def problem(tetc, model, given, expected):
    """What is wrong with how a model is taken; None: nothing."""
    with tempfile.TemporaryDirectory() as tmp:
        onnx.save(model, f'{tmp}/m.onnx')
        status, said = tell(tetc, 'import', f'{tmp}/m.onnx', '-o', f'{tmp}/m.te')
        if status:
            return short(said)
        with open(f'{tmp}/m.te', encoding='utf-8') as f:
            text = f.read()
        ins, outs = re.findall(r'^  input (\w+)', text, re.M), re.findall(r'^  output (\w+)', text, re.M)
        if len(ins) != len(given) or len(outs) != len(expected):
            return f'{len(given)} inputs and {len(expected)} outputs became {len(ins)} and {len(outs)}'
        args = []
        for i, value in enumerate(given.values()):
            np.save(f'{tmp}/i{i}.npy', np.ascontiguousarray(value).reshape(value.shape))
            args.append(f'--input={ins[i]}={tmp}/i{i}.npy')
        for i in range(len(outs)):
            args.append(f'--output={outs[i]}={tmp}/o{i}.npy')
        status, said = tell(tetc, 'run', f'{tmp}/m.te', '--check', *args)
        if status:
            return short(said)
        for i, want in enumerate(expected.values()):
            got = np.load(f'{tmp}/o{i}.npy')
            if got.shape != want.shape:
                return f'output {i} has the shape {got.shape}, not {want.shape}'
            if got.dtype != want.dtype:
                return f'output {i} is {got.dtype}, not {want.dtype}'
            same = np.allclose(got, want, rtol=1e-3, atol=1e-5, equal_nan=True) if want.dtype.kind == 'f' else (got == want).all()
            if not same:
                return f'output {i} is another one'
    return None


def names_of_axes(tetc):
    """Elements alone whose names are those of axes: the axis is not meant."""
    for name, shape in (('c', []), ('x', [1]), ('k', []), ('r0', [])):
        node = helper.make_node('Add', ['data', name], ['sum'])
        more = helper.make_node('ReduceSum', ['sum', 'axes'], ['total'], keepdims=0)
        axes = helper.make_tensor('axes', onnx.TensorProto.INT64, [1], [1])
        info = [helper.make_tensor_value_info(n, onnx.TensorProto.INT64, s) for n, s in (('data', [2, 3]), (name, shape), ('sum', [2, 3]), ('total', [2]))]
        graph = helper.make_graph([node, more], 'g', info[:2], info[2:], [axes])
        data, scalar = np.arange(6).reshape(2, 3), np.full(shape, 1000)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)])
        total = data + scalar
        case(f'an element named {name}', problem(tetc, model, {'data': data, name: scalar}, {'sum': total, 'total': total.sum(1)}))


def far_values(tetc):
    """Where exp alone would be infinite."""
    info = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [5]) for n in ('data', 'soft')]
    graph = helper.make_graph([helper.make_node('Softplus', ['data'], ['soft'])], 'g', info[:1], info[1:])
    data = np.array([-200, -1, 0, 1, 200], np.float32)
    want = np.logaddexp(0, data.astype(np.float64)).astype(np.float32)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)])
    case('Softplus of large numbers', problem(tetc, model, {'data': data}, {'soft': want}))


def tier_of(name):
    if '_expanded' in name or 'training' in name or 'train_' in name:
        return None
    model = onnx.load(os.path.join(DATA, name, 'model.onnx'))
    if not all(v.type.HasField('tensor_type') for v in [*model.graph.input, *model.graph.output]):
        return None  # sequences, optionals
    tiers = {TIER_OF.get(node.op_type) for node in model.graph.node}
    return tiers.pop() if len(tiers) == 1 else None


def main():
    bless = sys.argv[1] == '--bless'
    tetc = os.path.abspath(sys.argv[1 + bless])
    if not os.path.isdir(DATA):
        print('1..0 # SKIP libonnx-testdata is not installed')
        return
    tests = [(name, tier) for name in sorted(os.listdir(DATA)) if (tier := tier_of(name))]
    known = {}
    path = os.path.join(HERE, 'failures.txt')
    if os.path.exists(path):
        with open(path, encoding='utf-8') as f:
            known = dict(line.rstrip('\n').split(': ', 1) for line in f if ': ' in line and line[0] != '#')
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda t: problem(tetc, *prepared(os.path.join(DATA, t[0]))), tests))
    for tier in TIERS:
        of = [r for r, t in zip(results, tests) if t[1] == tier]
        print(f'# {tier}: {of.count(None)} of {len(of)}')
    if bless:
        with open(path, 'w', encoding='utf-8') as f:
            f.write('# SPDX-License-Identifier: Apache-2.0\n# The node tests of ONNX that fail, and what is said of each (onnx_nodes.py --bless).\n')
            f.writelines(f'{t[0]}: {r}\n' for r, t in zip(results, tests) if r)
        return
    for result, (name, _) in zip(results, tests):
        if name in known:
            case(f'{name}: known to fail', result is None and 'it passes')
        else:
            case(name, result)
    names_of_axes(tetc)
    far_values(tetc)
    end()


main()
