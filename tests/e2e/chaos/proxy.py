"""The chaos proxy as its user sees it: opens lines, makes them bad, and says what they did."""
import json
import subprocess
import threading

import road


class Proxy:
    def __init__(self, program, seed):
        self.child = subprocess.Popen(road.tied([program, str(seed)]), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.lock = threading.Lock()

    def tell(self, **command):
        with self.lock:
            self.child.stdin.write(json.dumps(command) + "\n")
            self.child.stdin.flush()
            answer = self.child.stdout.readline()
        if not answer:
            raise RuntimeError("the proxy has ended")
        return json.loads(answer)

    def open(self, line, to):
        """A new line to loopback port `to`; the port where it begins."""
        return self.tell(do="open", line=line, to=to)["port"]

    def set(self, line, way=None, **faults):
        self.tell(do="set", line=line, **({"way": way} if way else {}), **faults)

    def door(self, line, mode):
        self.tell(do="door", line=line, mode=mode)

    def reset(self, line):
        self.tell(do="reset", line=line)

    def calm(self, line=None):
        """Every fault ends: of one line, or of all."""
        self.tell(do="calm", **({"line": line} if line else {}))

    def count(self):
        return self.tell(do="count")

    def close(self):
        """Its exit code."""
        self.child.stdin.close()
        try:
            self.child.wait(5)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.child.stdout.close()
        return self.child.returncode
