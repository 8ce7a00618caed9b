# SPDX-License-Identifier: Apache-2.0
"""Small float networks with random weights: every operator that `tetc quantise` knows, and what it has to leave in float."""
import numpy as np

PLAIN = '''  input image[n: n, c: 3, y: 9, x: 8] : float32;
  compute conv1 = relu(bias_add(conv2d(image, w.w1, stride = 2, pads = [0, 1, 1, 0]), w.b1));
  compute conv2 = conv2d(conv1, w.w2, dilation = 2, pad = 2); // without bias and activation
  compute conv3 = relu(bias_add(conv2d(conv2, w.w3, groups = 2), w.b3));
  compute pool = global_average_pool(conv3);
  output logits = bias_add(dense(pool, w.w4), w.b4);
'''

RESIDUAL = '''  input image[n: n, c: 3, y: 8, x: 8] : float32;
  compute conv1 = relu(bias_add(conv2d(image, w.w1, pad = 1), w.b1));
  compute conv2 = relu(bias_add(conv2d(conv1, w.w2, pad = 1), w.b2));
  compute conv3 = bias_add(conv2d(conv2, w.w3, pad = 1), w.b3);
  compute sum1 = relu(add(conv1, conv3));
  compute conv4 = bias_add(conv2d(sum1, w.w4, stride = 2, pads = [0, 0, 1, 1]), w.b4);
  compute down = bias_add(conv2d(sum1, w.w5, stride = 2), w.b5);
  compute sum2 = add(conv4, down); // goes on without an activation
  compute both = relu(sum2 + max_pool(sum1, size = 2)); // no convolution of its own
  output logits = bias_add(dense(global_average_pool(both), w.w6), w.b6);
'''

DEPTHWISE = '''  input image[n: n, c: 4, y: 9, x: 9] : float32;
  compute deep1 = relu6(bias_add(depthwise(image, w.w1, pads = [1, 1, 1, 1]), w.b1));
  compute point1 = clamp(bias_add(conv2d(deep1, w.w2), w.b2), 0, 1.5);
  compute deep2 = depthwise(point1, w.w3, strides = [2, 1], pad = 1);
  compute point2 = relu(bias_add(conv2d(deep2, w.w4), w.b4));
  output logits = conv2d(spatial(global_average_pool(point2)), w.w5);
'''

SHAPES = '''  input image[n: n, c: 4, y: 8, x: 8] : float32;
  compute conv1 = relu(bias_add(conv2d(image, w.w1, pad = 1), w.b1));
  compute small = max_pool(conv1, size = 3, stride = 2, pad = 1);
  compute mean = average_pool(conv1, size = 2);
  compute joined = concat[c](small, mean);
  compute again[n: n, wide: 12, y: 4, x: 4] : float32 = concat[wide](joined, relu(conv2d(small, w.w5))); // by its own axis
  compute gathered = relu(conv2d(again, w.w6));
  compute gated = joined * (1.0 / (1.0 + exp(-joined))); // stays float
  compute conv2 = relu(conv2d(gated, w.w2));
  compute row[n: n, i: 64] : float32 = reshape(conv2);
  compute hidden = relu(bias_add(dense(row, w.w3), w.b3));
  output seen = hidden;
  output more = global_max_pool(gathered);
  output logits = dense(hidden, w.w4);
'''


NAMED = '''  input image[n: n, c: 4, y: 4, x: 4] : float32;
  compute conv1 = nn.relu(nn.conv2d(image, w.w1, pad = 1));
  compute row[n: n, i: 64] : float32 = reshape(conv1);
  compute scores = nn.dense(row, w.w2);
  output probability = nn.softmax(scores);
  output logits = scores; // floats to the end
'''


def weights(rng, **shapes):
    made = {}
    for name, shape in shapes.items():
        fan = np.prod(shape[1:]) if name[0] == 'w' else 4
        made[name] = (rng.normal(size=shape) / np.sqrt(fan) * rng.uniform(0.5, 2, (shape[0],) + (1,) * (len(shape) - 1))).astype(np.float32)
    return made


def all_of(rng):
    """name -> the kernel's lines, its weights, its input's shape"""
    plain = weights(rng, w1=(6, 3, 3, 3), b1=(6,), w2=(8, 6, 3, 3), w3=(8, 4, 1, 1), b3=(8,), w4=(5, 8), b4=(5,))
    plain['w1'][2], plain['b1'][2] = 0, 0.75  # a channel that is its bias alone
    plain['w3'][1] *= 1e-12
    residual = weights(rng, w1=(8, 3, 3, 3), b1=(8,), w2=(8, 8, 3, 3), b2=(8,), w3=(8, 8, 3, 3), b3=(8,), w4=(8, 8, 3, 3), b4=(8,),
                       w5=(8, 8, 1, 1), b5=(8,), w6=(5, 8), b6=(5,))
    depthwise = weights(rng, w1=(8, 3, 3), b1=(8,), w2=(6, 8, 1, 1), b2=(6,), w3=(6, 3, 3), w4=(8, 6, 1, 1), b4=(8,), w5=(5, 8, 1, 1))
    shapes = weights(rng, w1=(4, 4, 3, 3), b1=(4,), w2=(4, 8, 1, 1), w3=(16, 64), b3=(16,), w4=(5, 16), w5=(4, 4, 1, 1), w6=(3, 12, 1, 1))
    named = weights(rng, w1=(4, 4, 3, 3), w2=(5, 64))
    return {'named': (NAMED, named, (4, 4, 4)), 'plain': (PLAIN, plain, (3, 9, 8)), 'residual': (RESIDUAL, residual, (3, 8, 8)), 'depthwise': (DEPTHWISE, depthwise, (4, 9, 9)),
            'shapes': (SHAPES, shapes, (4, 8, 8))}


def text(name, lines):
    head = 'import "nn.te" as nn;' if 'nn.' in lines else 'import "nn.te";'
    return f'{head}\nimport "{name}.npz" as w;\nparam n = 1;\n\nkernel {name} {{\n{lines}}}\n'
