"""What NVIDIA's ptxas makes of each program: nvidia.py TOOLS FOLDER. Prints program, name and value of each statistic.

Its Vulkan compiler is to be had with a card only. NVRTC reads the MSL as CUDA, by metal.cuh, and ptxas makes machine code of it.
"""

import concurrent.futures
import ctypes
import pathlib
import re
import subprocess
import sys
import tempfile

TOOLS, FOLDER = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
PTX, CODE = "compute_90", "sm_90"
HEADER = (pathlib.Path(__file__).parent / "metal.cuh").read_text()
# Rounding is Vulkan's: division and roots need not be correctly rounded.
OPTIONS = [f"--gpu-architecture={PTX}", "--device-as-default-execution-space", "--std=c++17", "--prec-div=false"]
OPTIONS += ["--prec-sqrt=false", "--ftz=true"]

POSITION = "blockIdx.{0} * blockDim.{0} + threadIdx.{0}"
BUILTINS = {
    "thread_index_in_threadgroup": "threadIdx.x",
    "thread_position_in_threadgroup": "metal::uint3(threadIdx.x, threadIdx.y, threadIdx.z)",
    "thread_position_in_grid": f"metal::uint3({', '.join(POSITION.format(axis) for axis in 'xyz')})",
    "threadgroup_position_in_grid": "metal::uint3(blockIdx.x, blockIdx.y, blockIdx.z)",
    "threadgroups_per_grid": "metal::uint3(gridDim.x, gridDim.y, gridDim.z)",
    "thread_index_in_simdgroup": "threadIdx.x % 32u",
    "simdgroup_index_in_threadgroup": "threadIdx.x / 32u",
    "threads_per_simdgroup": "32u",
    "simdgroups_per_threadgroup": "blockDim.x / 32u",
}


def cuda(text):
    """The CUDA text of naga's MSL: `main_` as a function, and a kernel that calls it."""
    text = re.sub(r"#include .*|using metal::uint;", "", text)
    # A number without a suffix is a double in C++.
    text = re.sub(r"(?<![\w.])(\d+\.\d*(?:e[-+]?\d+)?)(?![\w.])", r"\1f", text)
    head = re.search(r"\[\[max_total_threads_per_threadgroup\((\d+)\)\]\] kernel void main_\((.*?)\n\) \{", text, re.S)
    outside, parameters, given, inside = [], [], [], []
    for parameter in re.split(r"\n, ", head[2].strip()):
        declared, attribute = re.fullmatch(r"(.*?)(?: \[\[(.*)\]\])?", parameter).groups()
        pattern = r"(?:(device|constant|threadgroup) )?([\w:]+)( const)?&? (\w+)"
        space, kind, is_const, name = re.fullmatch(pattern, declared).groups()
        if attribute in BUILTINS:
            given.append(BUILTINS[attribute])
        elif space == "constant":
            outside.append(f"__constant__ {kind} {name}_place;")
            given.append(f"{name}_place")
        elif space == "threadgroup":
            inside.append(f"__shared__ {kind} {name};")
            given.append(name)
        else:
            parameters.append(f"{kind}{is_const or ''}* {name}")
            given.append(f"*{name}")
    plain = re.sub(r" *\[\[.*?\]\]", "", head[2])
    text = text.replace(head[0], f"inline void main_({plain}) {{")
    kernel = f"""
#undef device
#undef constant
{' '.join(outside)}
extern "C" __global__ void __launch_bounds__({head[1]}) run({', '.join(parameters)}) {{
    {' '.join(inside)}
    main_({', '.join(given)});
}}
"""
    return f"{HEADER}\n{text}\n{kernel}"


def ptx(source):
    """NVRTC's PTX."""
    lib = ctypes.CDLL(str(TOOLS / "libnvrtc.so.12"))
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    lib.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernel.cu", 0, None, None)
    options = (ctypes.c_char_p * len(OPTIONS))(*[option.encode() for option in OPTIONS])
    if lib.nvrtcCompileProgram(program, len(OPTIONS), options):
        lib.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        lib.nvrtcGetProgramLog(program, log)
        raise ValueError("NVRTC: " + log.value.decode()[:3000])
    lib.nvrtcGetPTXSize(program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    lib.nvrtcGetPTX(program, text)
    lib.nvrtcDestroyProgram(ctypes.byref(program))
    return text.value


def code_bytes(cubin):
    """The size of the kernel's machine code: the section `.text.run` of an ELF file."""
    number = lambda at, size: int.from_bytes(cubin[at : at + size], "little")
    table, entry, count, names = number(40, 8), number(58, 2), number(60, 2), number(62, 2)
    section = lambda i: (number(table + i * entry, 4), number(table + i * entry + 24, 8), number(table + i * entry + 32, 8))
    strings = section(names)[1]
    for name, _, size in map(section, range(count)):
        if cubin[strings + name :].startswith(b".text.run\0"):
            return size
    return 0


def statistics(file):
    try:
        text = ptx(cuda(file.read_text()))
        with tempfile.TemporaryDirectory() as folder:
            kernel, cubin = pathlib.Path(folder) / "kernel.ptx", pathlib.Path(folder) / "kernel.cubin"
            kernel.write_bytes(text)
            command = [TOOLS / "ptxas", "-v", f"-arch={CODE}", "-o", cubin, kernel]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise ValueError(done.stderr)
            # 16 bytes an instruction.
            found = {"Instructions": code_bytes(cubin.read_bytes()) // 16}
        for name, pattern in [
            ("Registers", r"Used (\d+) registers"),
            ("Stack", r"(\d+) bytes stack frame"),
            ("Spill stores", r"(\d+) bytes spill stores"),
            ("Spill loads", r"(\d+) bytes spill loads"),
            ("Shared memory", r"(\d+) bytes smem"),
        ]:
            value = re.search(pattern, done.stderr)
            found[name] = value[1] if value else 0
        return found
    except ValueError as error:
        return {"failed": " ".join(str(error).split())}


if __name__ == "__main__":
    print("# ptxas 12.9.86, sm_90")
    files = sorted(FOLDER.glob("*.metal"), key=lambda file: int(file.stem))
    with concurrent.futures.ProcessPoolExecutor() as pool:
        for file, found in zip(files, pool.map(statistics, files)):
            for name, value in found.items():
                print(file.stem, name, value, sep="\t")
