"""How much of what a wide product issues is arithmetic: issue.py TOOLS FOLDER, behind a run of `ptxas-sm90` that left its programs in
FOLDER. For each product by 8 x 8 values an invocation, the share of FFMA among the instructions of ptxas for one turn of its loop: the
most that a processor's FFMA rate can be used, as it issues one instruction a cycle and subgroup."""

import csv
import hashlib
import io
import re
import subprocess
import sys
import tempfile
import urllib.request
import zipfile

from nvidia import CODE, FOLDER, TOOLS, cuda, ptx

NVDISASM = (
    "https://files.pythonhosted.org/packages/64/4a/c84a14209a549d97831a02d111d943f47c995d4d3beaa3416daa3b534abb/"
    "nvidia_cuda_nvdisasm-13.5.37-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
    "d3fdbdd49fa53e2e4aacd3db8259d052bd2b049ececdcb69e92e083c6728e7ca",
)


def disassembler():
    path = TOOLS / "nvdisasm"
    if not path.exists():
        url, sha256 = NVDISASM
        data = urllib.request.urlopen(url, timeout=60).read()
        if hashlib.sha256(data).hexdigest() != sha256:
            sys.exit(f"error: {url}: its SHA-256 is not {sha256}")
        archive = zipfile.ZipFile(io.BytesIO(data))
        path.write_bytes(archive.read(next(name for name in archive.namelist() if name.endswith("bin/nvdisasm"))))
        path.chmod(0o755)
    return path


def machine_code(number):
    """The instructions of a program, and the places of its labels."""
    with tempfile.TemporaryDirectory() as folder:
        kernel, cubin = f"{folder}/kernel.ptx", f"{folder}/kernel.cubin"
        open(kernel, "wb").write(ptx(cuda((FOLDER / f"{number}.metal").read_text())))
        subprocess.run([TOOLS / "ptxas", f"-arch={CODE}", "-o", cubin, kernel], check=True)
        text = subprocess.run([disassembler(), "-c", cubin], check=True, capture_output=True, text=True).stdout
    code, labels = [], {}
    for line in text.splitlines():
        if label := re.match(r"(\.L_x_\d+):", line):
            labels[label[1]] = len(code)
        elif re.search(r"/\*[0-9a-f]{4,}\*/\s+\S", line):
            code.append(line)
    return code, labels


def share(number, terms):
    """FFMA, and all instructions, of one turn: of the loop around the one with most FFMA, which goes round until `terms` are added."""
    code, labels = machine_code(number)
    ffma = lambda loop: sum("FFMA" in line for line in code[loop[0] : loop[1] + 1])
    size = lambda loop: loop[1] + 1 - loop[0]
    back = [(labels[m[1]], at) for at, line in enumerate(code) if (m := re.search(r"BRA.*`\((\.L_x_\d+)\)", line))]
    loops = [loop for loop in back if loop[0] <= loop[1] and ffma(loop)]
    inner = max(loops, key=lambda loop: ffma(loop) / size(loop))
    around = [loop for loop in loops if loop[0] <= inner[0] and inner[1] <= loop[1] and loop != inner]
    outer = min(around, key=size)
    rounds = 64 * terms / ffma(inner)
    return 64 * terms, size(outer) + (rounds - 1) * size(inner)


if __name__ == "__main__":
    seen = set()
    print("| product | tile | instructions a turn | of them FFMA |\n|---|---|---|---|")
    for row in csv.reader(open(FOLDER / "launches.tsv"), delimiter="\t"):
        wide = len(row) > 7 and re.search(r"tile_k=(\d+) each_m=8 each_n=8", row[7])
        if not wide or row[4] in seen:
            continue
        seen.add(row[4])
        found, issued = share(row[4], int(wide[1]))
        what, tile = row[2].split(", dense, ")
        print(f"| {row[0].split(':')[0]}: {what} | {tile} | {issued:.0f} | {found / issued:.1%} |")
