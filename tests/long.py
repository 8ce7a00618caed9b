#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""long.py BUILD [--list | CAMPAIGN...]: the long tests, by name; without names, all of them.

A campaign is a suite of meson's: test(..., suite: 'streams'). Its parts are the tests of the suite, which do more than
usual where TETC_LONG_TESTS is set. A part that passed leaves a stamp, BUILD/long/KEY/PART, where KEY is made of the sources and
the options of the build: the same command again goes on where the last one stopped. A campaign has 30 minutes; parts
that are not done by then are said, and left to the next time."""
import concurrent.futures
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree

MINUTES = 30


def introspect(build, what):
    return json.loads(subprocess.run(['meson', 'introspect', build, what], check=True, capture_output=True).stdout)


def campaigns(build):
    """The tests of each campaign. The suite of a test that has none is the project."""
    of = {}
    for test in introspect(build, '--tests'):
        for suite in test['suite']:
            if ':' in suite:
                of.setdefault(suite.split(':')[1], []).append(test['name'])
    return of


def key(build):
    """Of all that the outcome depends on. The models of the core are not of it: each has tests of its own."""
    options = {o['name']: o['value'] for o in introspect(build, '--buildoptions') if o['name'] != 'rtl_models'}
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    for root, directories, files in os.walk('.'):
        directories[:] = sorted(d for d in directories if not d.startswith(('.', 'build', '__')))
        for name in sorted(files):
            path = os.path.join(root, name)
            with open(path, 'rb') as f:
                digest.update(path.encode() + b'\0' + hashlib.sha256(f.read()).digest())
    return digest.hexdigest()[:16]


class Runner:
    def __init__(self, build):
        self.build, self.stamps, self.running = build, os.path.join(build, 'long', key(build)), set()
        self.stopped = False
        os.makedirs(self.stamps, exist_ok=True)

    def stamp(self, part):
        return os.path.join(self.stamps, re.sub(r'[^A-Za-z0-9._-]', '-', part))

    def done(self, part):
        """What the stamp of a part says: seconds, cases. None: it has not passed yet."""
        try:
            with open(self.stamp(part), encoding='utf-8') as f:
                return json.load(f)
        except (FileNotFoundError, ValueError):
            return None

    def run(self, part, deadline):
        """Runs a part: its cases, those of them that failed; None when time was up."""
        base = 'long-' + os.path.basename(self.stamp(part))
        start = time.monotonic()
        if start >= deadline:
            return None
        command = ['meson', 'test', '-C', self.build, '--no-rebuild', '--print-errorlogs', '--timeout-multiplier', '0',
                   '--logbase', base, part]
        test = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace')
        self.running.add(test)
        try:
            said = test.communicate(timeout=deadline - start)[0]
        except subprocess.TimeoutExpired:
            test.terminate()
            test.communicate()
            return None
        finally:
            self.running.discard(test)
        if self.stopped:
            return None
        cases, failed = self.cases(base, test.returncode)
        seconds = round(time.monotonic() - start)
        if failed:
            print(said)
        else:
            with open(self.stamp(part) + '.new', 'w', encoding='utf-8') as f:
                json.dump({'seconds': seconds, 'cases': cases}, f)
            os.replace(self.stamp(part) + '.new', self.stamp(part))
        print(f'  {part}: {cases - failed} passed, {failed} failed, {seconds / 60:.1f} minutes', flush=True)
        return cases, failed

    def cases(self, base, status):
        """How many cases a test had, and how many of them failed."""
        try:
            suites = list(xml.etree.ElementTree.parse(os.path.join(self.build, 'meson-logs', base + '.junit.xml')).iter('testsuite'))
        except (FileNotFoundError, xml.etree.ElementTree.ParseError):
            return 1, 1
        cases = sum(int(s.get('tests')) for s in suites)
        failed = sum(int(s.get('failures')) + int(s.get('errors')) for s in suites)
        if status != 0 and not failed:
            failed = 1
        return max(cases, failed), failed

    def campaign(self, name, parts):
        """Runs what is left of a campaign: cases, failed cases, parts that are not done."""
        start = time.monotonic()
        deadline = start + 60 * MINUTES
        left = [p for p in parts if not self.done(p)]
        print(f'{name}: {len(left)} of {len(parts)} parts to do', flush=True)
        results = [(self.done(p)['cases'], 0) for p in parts if p not in left]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            futures = [pool.submit(self.run, p, deadline) for p in left]
            try:
                results += [f.result() for f in futures]
            except KeyboardInterrupt:
                self.stopped = True
                for f in futures:
                    f.cancel()
                for test in list(self.running):
                    test.terminate()
                raise
        open_parts = results.count(None)
        cases, failed = (sum(r[i] for r in results if r) for i in (0, 1))
        more = f'; {open_parts} parts are not done after {MINUTES} minutes: run it again to go on' if open_parts else ''
        print(f'{name}: {cases - failed} passed, {failed} failed, {(time.monotonic() - start) / 60:.1f} minutes{more}', flush=True)
        return cases, failed, open_parts


def show(runner, of):
    for name in sorted(of):
        stamps = [runner.done(p) for p in of[name]]
        minutes = sum(s['seconds'] for s in stamps if s) / 60
        done = sum(1 for s in stamps if s)
        print(f'{name}: {len(stamps)} parts, {done} done' + (f' in {minutes:.1f} minutes' if done else ''))
        for part in of[name]:
            print(f'  {part}')


def main():
    build, names = sys.argv[1], sys.argv[2:]
    of = campaigns(build)
    runner = Runner(build)
    if names == ['--list']:
        show(runner, of)
        return 0
    for name in names:
        if name not in of:
            print(f'dev: there is no long test {name}; there are {", ".join(sorted(of))}', file=sys.stderr)
            return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        results = [runner.campaign(name, of[name]) for name in names or sorted(of)]
    except KeyboardInterrupt:
        print('dev: stopped; the same command goes on with the parts that are not done', file=sys.stderr)
        return 130
    cases, failed, open_parts = (sum(r[i] for r in results) for i in range(3))
    print(f'{cases - failed} passed, {failed} failed' + (f', {open_parts} parts not done' if open_parts else ''))
    return 1 if failed or open_parts else 0


if __name__ == '__main__':
    sys.exit(main())
