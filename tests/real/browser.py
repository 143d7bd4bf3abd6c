"""Headless Chromium, driven by the DevTools protocol over a pipe: no package, no port, no driver."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

# The longest that one call may take.
LIMIT_SECONDS = 60
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-extensions", "--disable-default-apps", "--hide-scrollbars", "--mute-audio",
    "--remote-debugging-pipe",
]  # fmt: skip


class Browser:
    """One page of a browser with an empty profile of its own; a context manager."""

    def __init__(self, *flags):
        self.flags = flags

    def __enter__(self):
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        if program is None:
            raise AssertionError("no Chromium: tests/real/install.sh installs it")
        self.profile = tempfile.TemporaryDirectory(prefix="nd-chromium-", ignore_cleanup_errors=True)
        theirs_in, self.out = os.pipe()
        self.into, theirs_out = os.pipe()
        # It wants them as 3 and 4, so none of them may be one of these now.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (theirs_in, theirs_out)]
        command = f'exec "$@" 3<&{ends[0]} 4>&{ends[1]}'
        self.process = subprocess.Popen(
            ["bash", "-c", command, "sh", program, *FLAGS, *self.flags, f"--user-data-dir={self.profile.name}", "about:blank"],
            pass_fds=ends, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for end in (theirs_in, theirs_out, *ends):
            os.close(end)
        self.buffer, self.count, self.session, self.requests = b"", 0, None, []
        self.loaded = False
        try:
            self._open_page()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _open_page(self):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime"):
            self.call(f"{domain}.enable")

    def __exit__(self, *_):
        os.close(self.out)
        os.close(self.into)
        try:
            # The pipe's end ends it.
            self.process.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.profile.cleanup()

    def call(self, method, **params):
        self.count += 1
        number = self.count
        message = {"id": number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.out, data) :]
        return self._until(lambda message: message.get("id") == number)["result"]

    def _until(self, wanted):
        """Reads messages up to the one that is wanted; keeps those that tell of a page."""
        end = time.monotonic() + LIMIT_SECONDS
        while True:
            while b"\0" not in self.buffer:
                ready, _, _ = select.select([self.into], [], [], max(0, end - time.monotonic()))
                more = os.read(self.into, 1 << 20) if ready else b""
                if not more:
                    raise AssertionError("Chromium " + ("has ended" if ready else "doesn't answer"))
                self.buffer += more
            one, self.buffer = self.buffer.split(b"\0", 1)
            message = json.loads(one)
            if "error" in message:
                raise AssertionError(f"Chromium: {message['error']}")
            if message.get("method") == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
            if message.get("method") == "Page.loadEventFired":
                self.loaded = True
            if wanted(message):
                return message

    def surround(self, width, height, scheme, scale=1):
        """As on a screen of this size, where the reader prefers `scheme`: light or dark."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=scale, mobile=width < 500,
        )  # fmt: skip
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def open(self, path):
        """Shows a file; `requests` has what was asked for on its account."""
        self.requests, self.loaded = [], False
        self.call("Page.navigate", url=path.as_uri())
        if not self.loaded:
            self._until(lambda message: self.loaded)

    def evaluate(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def picture(self, bottom=None):
        """The whole page as PNG; the upper `bottom` pixels of it."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        height = min(size["height"], bottom or size["height"])
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height, "scale": 1}
        shot = self.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(shot["data"])
