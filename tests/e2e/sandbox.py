#!/usr/bin/env python3
"""Runs a program under what a unit file allows, without systemd: for tests.

    sandbox.py UNIT_FILE -- PROGRAM ARGUMENT...

Held to: SystemCallFilter and MemoryDenyWriteExecute (here a forbidden call kills with SIGSYS, so that none goes
unnoticed), RestrictAddressFamilies, NoNewPrivileges, no capabilities, UMask, LimitNOFILE; and for root also a user who
owns nothing but what was given to him, as with ProtectSystem=strict.
"""
import ctypes
import os
import platform
import pwd
import re
import resource
import signal
import struct
import subprocess
import sys

ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
LOAD, JUMP_EQ, JUMP_SET, RETURN = 0x20, 0x15, 0x45, 0x06
EAFNOSUPPORT, PROT_WRITE, PROT_EXEC = 97, 2, 4
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 22, 24, 38


def directives(unit):
    """{name: [value, …]} of the section [Service]."""
    found, section = {}, ""
    for line in open(unit):
        line = line.strip()
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith("#"):
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found


def members(name):
    """The system calls of a set like @system-service, or the call itself."""
    if not name.startswith("@"):
        return {name}
    text = subprocess.run(["systemd-analyze", "syscall-filter", name], check=True, capture_output=True, text=True).stdout
    words = [line.strip() for line in text.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
    return set().union(*(members(word) for word in words)) if words else set()


def allowed_calls(lines):
    calls = set()
    for line in lines:
        named = set().union(*(members(word) for word in line.lstrip("~").split()))
        calls = calls - named if line.startswith("~") else calls | named
    return calls | members("@default")  # systemd always allows these


def numbers():
    """{system call: number} of this machine."""
    text = subprocess.run(["g++", "-E", "-dM", "-include", "sys/syscall.h", "-xc", "/dev/null"], check=True, capture_output=True, text=True).stdout
    macros = dict(re.findall(r"#define (__NR\w*) (\w+)", text))
    found = {}
    for name, value in macros.items():
        while value in macros:
            value = macros[value]
        if value.isdigit():
            found[name.removeprefix("__NR_")] = int(value)
    return found


def program(unit):
    """The seccomp filter as (code, jump if true, jump if false, operand)."""
    call = numbers()
    families = [FAMILIES[name] for name in " ".join(unit["RestrictAddressFamilies"]).split()]
    out = [(LOAD, 0, 0, 4), (JUMP_EQ, 1, 0, ARCHITECTURE[platform.machine()]), (RETURN, 0, 0, KILL), (LOAD, 0, 0, 0)]

    def on(name, check):
        out.extend([(JUMP_EQ, 0, len(check), call[name]), *check])

    argument = lambda n: (LOAD, 0, 0, 16 + 8 * n)
    on("socket", [argument(0), *[step for f in families for step in ((JUMP_EQ, 0, 1, f), (RETURN, 0, 0, ALLOW))],
                  (RETURN, 0, 0, ERRNO | EAFNOSUPPORT)])
    if unit.get("MemoryDenyWriteExecute") == ["yes"]:
        on("mmap", [argument(2), (JUMP_SET, 0, 2, PROT_EXEC), (JUMP_SET, 0, 1, PROT_WRITE), (RETURN, 0, 0, KILL), (RETURN, 0, 0, ALLOW)])
        on("mprotect", [argument(2), (JUMP_SET, 0, 1, PROT_EXEC), (RETURN, 0, 0, KILL), (RETURN, 0, 0, ALLOW)])
    for name in sorted(allowed_calls(unit["SystemCallFilter"])):
        if name in call:
            out.extend([(JUMP_EQ, 0, 1, call[name]), (RETURN, 0, 0, ALLOW)])
    return out + [(RETURN, 0, 0, KILL)]


def prctl(*arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(*(ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments), *[ctypes.c_ulong(0)] * (5 - len(arguments))) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {arguments[0]}")


def nobody():
    return pwd.getpwnam("nobody")


def enter(unit):
    steps = b"".join(struct.pack("HBBI", *step) for step in program(unit))
    code = ctypes.create_string_buffer(steps, len(steps))
    filter = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps) // 8, ctypes.addressof(code)))
    os.umask(int(unit["UMask"][0], 8))
    files = int(unit["LimitNOFILE"][0])
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(files, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    if os.geteuid() == 0:
        for capability in range(int(open("/proc/sys/kernel/cap_last_cap").read()) + 1):
            prctl(PR_CAPBSET_DROP, capability)
        os.setgroups([])
        os.setgid(nobody().pw_gid)
        os.setuid(nobody().pw_uid)
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # another user has taken it back
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_SECCOMP, 2, ctypes.byref(filter))


if __name__ == "__main__":
    unit_file, dashes, argv = sys.argv[1], sys.argv[2], sys.argv[3:]
    assert dashes == "--" and argv
    enter(directives(unit_file))
    os.execvp(argv[0], argv)
