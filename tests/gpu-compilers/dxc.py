"""What Microsoft's HLSL compiler makes of each program: dxc.py TOOLS FOLDER. Prints program, name and value of each statistic.

Its library has COM's interfaces: a pointer to a table of functions, which are called by their places in it.
"""

import ctypes
import pathlib
import re
import sys

TOOLS, FOLDER = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
# As wgpu calls it.
ARGUMENTS = ["-E", "main", "-T", "cs_6_4", "-HV", "2018", "-no-warnings", "-Ges"]
# What DX12 gives a workgroup.
WORKGROUP_BYTES = 32_768

Guid = ctypes.c_byte * 16


def guid(text):
    first, second, third, *rest = text.split("-")
    parts = [bytes.fromhex(part)[::-1] for part in (first, second, third)] + [bytes.fromhex("".join(rest))]
    return Guid.from_buffer_copy(b"".join(parts))


COMPILER_CLASS = guid("73e22d93-e6ce-47f3-b5bf-f0664f39c1b0")
COMPILER = guid("228b4687-5a6a-4730-900c-9702b2203f54")
RESULT = guid("58346cda-dde7-4497-9461-6f87af5e0659")
BLOB = guid("8ba5fb08-5195-40e2-ac58-0d989c3a0102")
OBJECT, ERRORS, DISASSEMBLY, UTF8 = 1, 2, 5, 65001
# Places in the tables: on Linux a destructor follows IUnknown's three functions, in two places.
COMPILE, DISASSEMBLE = 5, 6
GET_STATUS, GET_OUTPUT = 5, 9
GET_POINTER, GET_SIZE = 5, 6


class Buffer(ctypes.Structure):
    _fields_ = [("data", ctypes.c_char_p), ("size", ctypes.c_size_t), ("encoding", ctypes.c_uint32)]


def call(this, place, *arguments, result=ctypes.c_int32):
    """Calls the function at `place` of the table of `this`."""
    table = ctypes.cast(this, ctypes.POINTER(ctypes.POINTER(ctypes.c_void_p))).contents
    kinds = [type(argument) if isinstance(argument, ctypes._SimpleCData) else ctypes.c_void_p for argument in arguments]
    return ctypes.CFUNCTYPE(result, ctypes.c_void_p, *kinds)(table[place])(this, *arguments)


def output(result, kind):
    """An output of a compilation."""
    blob = ctypes.c_void_p()
    call(result, GET_OUTPUT, ctypes.c_uint32(kind), ctypes.byref(BLOB), ctypes.byref(blob), None)
    if not blob:
        return b""
    data = call(blob, GET_POINTER, result=ctypes.c_void_p)
    return ctypes.string_at(data, call(blob, GET_SIZE, result=ctypes.c_size_t))


def statistics(compiler, file):
    text = file.read_bytes()
    arguments = (ctypes.c_wchar_p * len(ARGUMENTS))(*ARGUMENTS)
    result, listing = ctypes.c_void_p(), ctypes.c_void_p()
    source = Buffer(text, len(text), UTF8)
    count = ctypes.c_uint32(len(ARGUMENTS))
    call(compiler, COMPILE, ctypes.byref(source), arguments, count, None, ctypes.byref(RESULT), ctypes.byref(result))
    status = ctypes.c_int32()
    call(result, GET_STATUS, ctypes.byref(status))
    if status.value:
        return {"failed": " ".join(output(result, ERRORS).decode(errors="replace").split())[:1000]}
    code = output(result, OBJECT)
    call(compiler, DISASSEMBLE, ctypes.byref(Buffer(code, len(code), 0)), ctypes.byref(RESULT), ctypes.byref(listing))
    lines = output(listing, DISASSEMBLY).decode(errors="replace").splitlines()
    arrays = [re.search(r"alloca \[(\d+) x", line) for line in lines]
    return {
        "Instructions": sum(bool(re.match(r"  [%a-z]", line)) for line in lines),
        # Values of 32 bits in arrays that are indexed by variables.
        "Arrays": sum(int(array[1]) for array in arrays if array),
    }


if __name__ == "__main__":
    library = ctypes.CDLL(str(next(TOOLS.glob("libdxcompiler*.so*"))))
    compiler = ctypes.c_void_p()
    if library.DxcCreateInstance(ctypes.byref(COMPILER_CLASS), ctypes.byref(COMPILER), ctypes.byref(compiler)):
        sys.exit("error: DXC offers no compiler")
    print("# DXC, cs_6_4")
    facts = [line.split("\t") for line in (FOLDER / "programs.tsv").read_text().splitlines()]
    workgroup_bytes = {number: int(size) for number, _, size, _ in facts}
    for file in sorted(FOLDER.glob("*.hlsl"), key=lambda file: int(file.stem)):
        if workgroup_bytes[file.stem] > WORKGROUP_BYTES:
            continue
        for name, value in statistics(compiler, file).items():
            print(file.stem, name, value, sep="\t", flush=True)
