#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The page of --emit=html under a person's keys and mouse, in a headless Chromium: keyboard.py TETC SAMPLES prints TAP.

Chromium is driven over a pipe (--remote-debugging-pipe): JSON messages that end with a zero byte.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import time

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe", "about:blank"]
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "PageUp": 33, "PageDown": 34, "End": 35, "Home": 36, "ArrowLeft": 37,
        "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}


class Page:
    def __init__(self, profile):
        read, self.write = os.pipe()
        self.read, write = os.pipe()
        self.process = subprocess.Popen(["sh", "-c", f'exec chromium "$@" 3<&{read} 4>&{write}', "sh", *FLAGS,
                                         f"--user-data-dir={profile}"], pass_fds=(read, write), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(read)
        os.close(write)
        self.number, self.rest, self.session = 0, b"", None
        target = [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"][0]["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def message(self):
        while b"\0" not in self.rest:
            more = os.read(self.read, 1 << 16)
            if not more:
                raise EOFError("chromium ended")
            self.rest += more
        text, self.rest = self.rest.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **params):
        self.number += 1
        m = {"id": self.number, "method": method, "params": params}
        if self.session:
            m["sessionId"] = self.session
        os.write(self.write, json.dumps(m).encode() + b"\0")
        while True:
            m = self.message()
            if m.get("id") == self.number:
                if "error" in m:
                    raise RuntimeError(m["error"])
                return m["result"]

    def value(self, expression):
        r = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in r:
            raise RuntimeError(r["exceptionDetails"])
        return r["result"].get("value")

    def open(self, path):
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url="file://" + path)
        for _ in range(300):
            if self.value("document.readyState === 'complete' && !!document.getElementById('right-1')"):
                return
            time.sleep(0.1)
        raise RuntimeError("the page does not open")

    def press(self, *keys):
        for k in keys:
            code = KEYS.get(k) or ord(k.upper())
            text = {"text": "\r" if k == "Enter" else k} if k in ("Enter", " ") or len(k) == 1 else {}
            self.call("Input.dispatchKeyEvent", type="keyDown", key=k, windowsVirtualKeyCode=code, **text)
            self.call("Input.dispatchKeyEvent", type="keyUp", key=k, windowsVirtualKeyCode=code)

    def click(self, selector):
        self.value(f"document.querySelector('{selector}').scrollIntoView({{block: 'center'}})")
        x, y = self.value(f"(() => {{ const r = document.querySelector('{selector}').getBoundingClientRect(); "
                          "return [r.x + 60, r.y + r.height / 2]; })()")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def lit(self, side):
        return self.value(f"[...document.querySelectorAll('#{side}-code .lit')].map(e => +e.dataset.n)")

    def shown(self, side):
        return self.value(f"(s => s.options[s.selectedIndex].text)(document.getElementById('{side}'))")

    def tab_to(self, name):
        """Presses Tab until the element with that id has the focus; whether it came there."""
        for _ in range(60):
            if self.value("document.activeElement.id") == name:
                return True
            self.press("Tab")
        return False


def located(tetc, kernel, phase, line):
    """The lines of the phase's text that name the source line as a place."""
    p = subprocess.run([tetc, "compile", kernel, f"--dump-tir={phase}", "--print-locations", "--stop-after", phase], text=True,
                       capture_output=True, check=True)
    return [i for i, t in enumerate(p.stdout.split("\n"), 1) if re.search(rf"@[^ ]*gemm\.te:{line}:", t)]


def checks(page, tetc, kernel, html):
    page.open(html)
    yield "the source pane is reached by Tab", page.tab_to("left-code")
    page.press("Home", *["ArrowDown"] * 25, "Enter")
    yield "Enter on line 26 lights it", page.lit("left") == [26]
    yield "and its TIR", page.lit("right") == located(tetc, kernel, page.shown("right"), 26) != []
    page.press("Escape")
    yield "Escape puts the lights out", page.lit("left") == [] == page.lit("right")
    page.press(" ")
    yield "Space chooses too", page.lit("left") == [26]
    before = page.shown("right")
    page.press("ArrowRight", "ArrowRight")
    after = page.shown("right")
    yield "arrows step through the phases", before == "lower" and after == "inject_copy"
    yield "the chosen line's TIR is lit there", page.lit("right") == located(tetc, kernel, after, 26) != []
    page.press("ArrowLeft")
    yield "and back", page.shown("right") == "tensorize"
    page.press("s")
    yield "s shows the phase before beside it", page.shown("left") == "lower"
    yield "with what changed marked", page.value("!!document.querySelector('#left-code .cut') && !!document.querySelector('#right-code .add')")
    ends = [f"(all => all.at(-1).offsetTop - all[0].offsetTop)([...document.querySelectorAll('#{side}-code [data-n]')])"
            for side in ("left", "right")]
    yield "and the same lines beside each other", page.value(f"Math.abs({ends[0]} - {ends[1]}) <= 1 && !!document.querySelector('.gap')")
    page.press("s")
    yield "s again shows the source", page.shown("left") == "source"
    page.click("#left-14")
    yield "a click on a source line lights its TIR", page.lit("left") == [14] and page.lit("right") == located(tetc, kernel, "tensorize", 14)
    yield "the TIR pane is reached by Tab", page.tab_to("right-code")
    lines = page.value("[...document.querySelectorAll('#right-code .lit, #right-code .why')].map(e => +e.dataset.n)")
    cursor = "+document.querySelector('#right-code .cursor').dataset.n"
    page.press("Home", "n")
    first = page.value(cursor)
    page.press("n")
    second = page.value(cursor)
    page.press("p")
    yield "n and p step over what is lit", [first, second, page.value(cursor)] == [*lines[:2], lines[0]]
    page.press("Enter")
    yield "Enter on TIR lights its source", 14 in page.lit("left")


def main():
    tetc, samples = map(os.path.abspath, sys.argv[1:])
    kernel = os.path.join(samples, "gemm.te")
    number = failed = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as tmp:
        html = os.path.join(tmp, "gemm.html")
        subprocess.run([tetc, "compile", "--emit=html", kernel, "-o", html], check=True)
        page = Page(os.path.join(tmp, "profile"))
        try:
            for what, good in checks(page, tetc, kernel, html):
                number += 1
                failed += not good
                print(f"{'ok' if good else 'not ok'} {number} - {what}", flush=True)
        finally:
            page.process.terminate()
            page.process.wait()
    print(f"1..{number}")
    return 1 if failed else 0


sys.exit(main())
