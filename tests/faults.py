#!/usr/bin/env python3
"""Hostile files and hostile places, one after the other: what a binary makes of each, how long it takes and how much memory.

    tests/faults.py target/release/mlp-gpu [WORD ...]

Each case runs in a folder of its own with 8 GB of address space and 100 s of time; WORDs pick cases by their names. A case fails
where the process dies by a signal, panics, runs out of time, ends with another exit code than expected, or says more than one line
of an error. Needs Python 3 alone. docs/faults.md has a recorded run."""

import fcntl, gzip, json, os, random, resource, shutil, signal, struct, subprocess, sys, tempfile, threading, time, zipfile, zlib

BINARY = os.path.abspath(sys.argv[1])
WORDS = sys.argv[2:]
CASES = []
CPU = ["--backend", "cpu"]


def case(name, expect=(1,), memory="8000000"):
    """A function that fills the current folder and returns the arguments of a run; `expect` are the exit codes that are right."""
    def add(make):
        CASES.append((name, make, expect, memory))
        return make
    return add


def table(rows=60, name="s.csv"):
    r = random.Random(1)
    with open(name, "w") as f:
        f.write("a,b,label\n" + "".join(f"{r.random():.3f},{r.random():.3f},{k % 2}\n" for k in range(rows)))
    return name


def tensor(shape, offsets, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def safetensors(name, header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    with open(name, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def model(name="m.st", data="s.csv", *more):
    """A trained model."""
    if data == "s.csv":
        table()
    subprocess.run([BINARY, "train", "--data", data, "--hidden", "4", "--epochs", "1", "--recipe", "notebook", "--quiet", "--save", name,
                    *CPU, *more], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return name


def edited(change, name="edited.st", body=None):
    """A trained model whose metadata `change` edits."""
    with open(model(), "rb") as f:
        content = f.read()
    length = struct.unpack("<Q", content[:8])[0]
    header, data = json.loads(content[8:8 + length]), bytearray(content[8 + length:])
    metadata = json.loads(header["__metadata__"]["mlp-gpu"])
    change(metadata)
    header["__metadata__"]["mlp-gpu"] = json.dumps(metadata)
    if body:
        body(data)
    safetensors(name, header, bytes(data))
    return name


def npy(descr, shape, body, fortran=False):
    text = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n".encode()
    if len(text) < 1 << 16:
        return b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text + body
    return b"\x93NUMPY\x02\0" + struct.pack("<I", len(text)) + text + body


def archive(name, **arrays):
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as z:
        for key, content in arrays.items():
            z.writestr(key + ".npy", content)
    return name


def zeros(name, size, unit=b"\0"):
    """`size` bytes of `unit`, packed by gzip."""
    with gzip.open(name, "wb", 9) as f:
        block = (unit * (1 + (1 << 20) // len(unit)))[:(1 << 20) // len(unit) * len(unit)]
        for _ in range(size // len(block)):
            f.write(block)
    return name


def train(data, *more):
    """The arguments of a short training."""
    return ["train", "--data", data, "--hidden", "2", "--epochs", "1", *more, *CPU]


# Models.
for key, value in [("batch_size", 0), ("batch_size", 1 << 63), ("epochs", -1), ("hidden", [1 << 40]), ("lr", "nan"), ("lr", -1.0),
                   ("lr_decay_every", 0), ("dropout", [2.0]), ("eval_every", 0)]:
    @case(f"metadata: {key} {value}")
    def _(key=key, value=value):
        def change(metadata):
            where = metadata["recipe"] if key in metadata["recipe"] else metadata["recipe"].get("schedule", metadata["recipe"])
            where[key] = value
        return ["train", "--resume", edited(change), "--epochs", "3", *CPU]


@case("metadata: divisors of 0")
def _():
    def change(metadata):
        metadata["scaling"]["divisor"] = [0.0] * len(metadata["scaling"]["divisor"])
    return ["eval", edited(change), "--data", "s.csv", *CPU]


@case("metadata: a class too many")
def _():
    return ["eval", edited(lambda metadata: metadata["classes"].append("more")), "--data", "s.csv", *CPU]


@case("metadata: other widths")
def _():
    return ["inspect", edited(lambda metadata: metadata.__setitem__("widths", [1, 2, 3]))]


@case("metadata: 120,000 nested lists")
def _():
    safetensors("deep.st", {"__metadata__": {"mlp-gpu": "[" * 120000}, "0.weight": tensor([1, 1], [0, 4]), "0.bias": tensor([1], [4, 8])}, bytes(8))
    return ["inspect", "deep.st"]


@case("metadata: 400,000 keys")
def _():
    safetensors("keys.st", {"__metadata__": {f"key {i}": "" for i in range(400000)}, "0.weight": tensor([1, 1], [0, 4]), "0.bias": tensor([1], [4, 8])}, bytes(8))
    return ["inspect", "keys.st"]


@case("safetensors: a tensor of 0 x 2^62")
def _():
    safetensors("empty.st", {"0.weight": tensor([0, 1 << 62], [0, 0]), "0.bias": tensor([0], [0, 0])})
    return ["inspect", "empty.st"]


@case("safetensors: a tensor of 2^62 x 0, with a bias for each output")
def _():
    safetensors("empty.st", {"0.weight": tensor([1 << 62, 0], [0, 0]), "0.bias": tensor([1 << 62, 0], [0, 0])})
    return ["inspect", "empty.st"]


@case("safetensors: 200,000 layers of 1 x 1")
def _():
    header = {}
    for i in range(200000):
        header[f"{i}.weight"] = tensor([1, 1], [8 * i, 8 * i + 4])
        header[f"{i}.bias"] = tensor([1], [8 * i + 4, 8 * i + 8])
    safetensors("layers.st", header, bytes(8 * 200000))
    return ["inspect", "layers.st"]


@case("safetensors: 400,000 empty tensors")
def _():
    safetensors("tensors.st", {f"t{i}": tensor([0], [0, 0]) for i in range(400000)})
    return ["inspect", "tensors.st"]


@case("safetensors: an f16 model of 200 MB", (0,))
def _():
    inputs, outputs = 10000, 10000
    safetensors("half.st", {"0.weight": tensor([outputs, inputs], [0, 2 * inputs * outputs], "F16"),
                            "0.bias": tensor([outputs], [2 * inputs * outputs, 2 * (inputs + 1) * outputs], "F16")},
                bytes(2 * (inputs + 1) * outputs))
    return ["inspect", "half.st"]


@case("safetensors: a header of 2^60 bytes")
def _():
    with open("long.st", "wb") as f:
        f.write(struct.pack("<Q", 1 << 60) + b"{}")
    return ["inspect", "long.st"]


@case("safetensors: escape sequences in a name")
def _():
    safetensors("esc.st", {"\x1b[31mx\nweight": tensor([2, 3], [0, 24]), "\x1b[31mx\nbias": tensor([3], [24, 36])}, bytes(36))
    return ["inspect", "esc.st"]


@case("safetensors: a name of 10 MB")
def _():
    safetensors("name.st", {"x" * 10000000: tensor([3], [0, 12])}, bytes(12))
    return ["inspect", "name.st"]


@case("safetensors: NaN weights")
def _():
    return ["inspect", edited(lambda metadata: None, body=lambda data: data.__setitem__(slice(0, 4), struct.pack("<f", float("nan"))))]


for command in ["eval", "predict"]:
    @case(f"a model that overflows: {command}")
    def _(command=command):
        def body(data):
            for at in range(0, len(data), 4):
                data[at:at + 4] = struct.pack("<f", 3e38)
        name = edited(lambda metadata: None, body=body)
        return [command, name, *(["--data", "s.csv"] if command == "eval" else ["s.csv"]), *CPU]


# Tables.
@case("csv: 300,000 columns and a header alone")
def _():
    with open("cols.csv", "w") as f:
        f.write(",".join(f"f{i}" for i in range(300000)) + ",label\n")
    return train("cols.csv")


@case("csv: 300,000 columns, ten rows", (0, 1))
def _():
    with open("cols.csv", "w") as f:
        f.write(",".join(f"f{i}" for i in range(300000)) + ",label\n")
        for row in range(10):
            f.write(",".join(str((row * i) % 7) for i in range(300000)) + f",{row % 2}\n")
    return train("cols.csv")


@case("csv: one line of 128 million cells")
def _():
    with open("cells.csv", "wb") as f:
        for _ in range(256):
            f.write(b"1," * 500000)
        f.write(b"1\n")
    return train("cells.csv")


@case("csv: a quote that is never closed, 400 MB")
def _():
    with open("quote.csv", "wb") as f:
        f.write(b"a,label\n1,0\n\"")
        for _ in range(400):
            f.write(b"x" * 999999 + b"\n")
    return train("quote.csv")


@case("csv: a cell of 50 MB that is no number")
def _():
    with open("cell.csv", "wb") as f:
        f.write(b"a,y\n1,1.5\n2," + b"x" * 50000000 + b"\n")
    return train("cell.csv")


@case("csv.gz: 1 GiB of zeros behind 1 MB")
def _():
    return train(zeros("zeros.csv.gz", 1 << 30))


@case("csv.gz: 400 MB of 1,1 behind 0.6 MB, of which a quarter of --max-memory is allowed", memory="8000000")
def _():
    return train(zeros("ones.csv.gz", 400 << 20, b"1,1\n"), "--label", "last", "--max-memory", "1G")


@case("csv.gz: a sparse table of 100 MB behind 0.2 MB", expect=(0,))
def _():
    rows = [b"0," * column + b"1," + b"0," * (199 - column) for column in range(200)]
    with gzip.open("sparse.csv.gz", "wb", 9) as f:
        for k in range(1 << 18):
            f.write(rows[k // 1000 % 200] + b"%d\n" % (k // 1000 % 2))
    return ["data", "inspect", "sparse.csv.gz", "--label", "last"]


@case("csv.gz: 400 MB of 1,1 behind 0.6 MB")
def _():
    return train(zeros("ones.csv.gz", 400 << 20, b"1,1\n"), "--label", "last")


@case("csv.zip: 400 MB of 1,1 behind 0.6 MB")
def _():
    with zipfile.ZipFile("ones.csv.zip", "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("ones.csv", b"1,1\n" * (100 << 20))
    return train("ones.csv.zip", "--label", "last")


@case("csv: an honest one of 100 MB", (0,))
def _():
    r = random.Random(1)
    row = lambda k: ",".join(f"{r.random():.6f}" for _ in range(10)) + f",{k % 2}\n"
    some = [row(k) for k in range(10000)]
    with open("honest.csv", "w") as f:
        f.write(",".join(f"f{i}" for i in range(10)) + ",label\n")
        for _ in range(110):
            f.writelines(some)
    return ["train", "--data", "honest.csv", "--epochs", "0", *CPU]


@case("csv: control characters in a cell")
def _():
    with open("esc.csv", "wb") as f:
        f.write(b"a,y\n1,1.5\n2,\x1b[31mred\x07\x00\n")
    return train("esc.csv")


@case("csv: control characters in the header", (0, 1, 2))
def _():
    with open("esc.csv", "wb") as f:
        f.write(b"\"a\x1b[31m\nb\",y\n" + b"".join(b"%d,%d\n" % (k, k % 2) for k in range(50)))
    return train("esc.csv")


@case("csv: an empty file")
def _():
    open("empty.csv", "w").close()
    return train("empty.csv")


@case("csv: values of 1e-38, saved and read back", (0,))
def _():
    with open("tiny.csv", "w") as f:
        f.write("a,label\n" + "".join(f"{1e-38 * random.Random(k).random():e},{k % 2}\n" for k in range(60)))
    return ["inspect", model("tiny.st", "tiny.csv")]


# Arrays.
@case("npz: 20,000 dimensions in Fortran's order")
def _():
    return train(archive("dims.npz", x_train=npy("|u1", "(1000000," + "1," * 20000 + ")", bytes(10**6), True), y_train=npy("|u1", "(4,)", bytes(4))))


@case("npz: 10 million rows of one byte", (0,))
def _():
    return ["train", "--data", archive("rows.npz", x_train=npy("|u1", "(10000000,1)", bytes(10**7)), y_train=npy("|u1", "(10000000,)", bytes([0, 1]) * 5 * 10**6)),
            "--recipe", "notebook", "--epochs", "0", *CPU]


@case("npz: 30 million rows of one byte", (0, 1))
def _():
    return ["train", "--data", archive("rows.npz", x_train=npy("|u1", "(30000000,1)", bytes(3 * 10**7)), y_train=npy("|u1", "(30000000,)", bytes([0, 1]) * 15 * 10**6)),
            "--recipe", "notebook", "--epochs", "0", *CPU]


@case("npz: 4 GB of zeros behind 4 MB")
def _():
    with zipfile.ZipFile("bomb.npz", "w", zipfile.ZIP_DEFLATED) as z:
        with z.open("x_train.npy", "w", force_zip64=True) as f:
            f.write(npy("<f8", "(500000000,1)", b""))
            for _ in range(4000):
                f.write(bytes(10**6))
        z.writestr("y_train.npy", npy("|u1", "(4,)", bytes(4)))
    return train("bomb.npz")


@case("npz: a shape of 0 x 2^62")
def _():
    return train(archive("zero.npz", x_train=npy("|u1", f"(0,{1 << 62})", b""), y_train=npy("|u1", "(0,)", b"")))


@case("npy: escape sequences in a type")
def _():
    with open("x.npy", "wb") as f:
        f.write(npy("\x1b[31m<x\x07", "(4,1)", bytes(4)))
    return train("x.npy")


@case("idx: 2^26 images of 1 x 1", (0, 1))
def _():
    os.mkdir("d")
    for part in ["train", "t10k"]:
        with open(f"d/{part}-images-idx3-ubyte", "wb") as f:
            f.write(struct.pack(">IIII", 0x803, 1 << 26, 1, 1) + bytes(1 << 26))
        with open(f"d/{part}-labels-idx1-ubyte", "wb") as f:
            f.write(struct.pack(">II", 0x801, 1 << 26) + bytes([0, 1]) * (1 << 25))
    return ["train", "--data", "d", "--hidden", "2", "--epochs", "0", *CPU]


# Images.
def png(name, width, height, line, lines=None):
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(b"\0" + line) for _ in range(height if lines is None else lines)) + packer.flush()
    with open(name, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    return name


def digits():
    return model("d.st", "digits")


@case("png: 16,000 x 16,000, grey", (0, 1))
def _():
    return ["predict", digits(), png("big.png", 16000, 16000, bytes(16000)), *CPU]


@case("png: 20,000 x 20,000, grey")
def _():
    return ["predict", digits(), png("big.png", 20000, 20000, bytes(20000)), *CPU]


@case("png: 65,535 x 65,535 claimed by 60 bytes")
def _():
    return ["predict", digits(), png("claimed.png", 65535, 65535, b"", 0), *CPU]


@case("pnm: 25 bytes that claim 10^16")
def _():
    with open("nul.pgm", "wb") as f:
        f.write(b"P5 99999999 99999999 255\n")
    return ["predict", digits(), "nul.pgm", *CPU]


@case("gif: 43 bytes that claim 65,535 x 65,535")
def _():
    with open("big.gif", "wb") as f:
        f.write(b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x02\x02\x4c\x01\x00;")
    return ["predict", digits(), "big.gif", *CPU]


# Memory.
@case("a network of 1.6 GB under 400 MB of address space", memory="400000")
def _():
    return ["train", "--data", table(), "--hidden", "20000,20000", "--epochs", "1", *CPU]


@case("a network of 1.6 GB with --max-memory 300M")
def _():
    return ["train", "--data", table(), "--hidden", "20000,20000", "--epochs", "1", "--max-memory", "300M", *CPU]


@case("a network of 10^12 parameters", (2,))
def _():
    return ["train", "--data", table(), "--hidden", "1000000,1000000", "--epochs", "1", *CPU]


@case("gz: 40 MB of 1,1 with --max-memory 100M")
def _():
    return train(zeros("ones.csv.gz", 40 << 20, b"1,1\n"), "--label", "last", "--max-memory", "100M")


# Places.
@case("--save onto the data", (2,))
def _():
    return train(table(), "--save", "s.csv")


@case("--log onto the data", (2,))
def _():
    return train(table(), "--log", "s.csv")


@case("--save through a symlink to the data", (2,))
def _():
    os.symlink(table(), "link")
    return train("s.csv", "--save", "link")


@case("--save onto a pipe")
def _():
    os.mkfifo("pipe")
    return train(table(), "--save", "pipe")


@case("--save into a folder that is read-only", (0, 1))
def _():
    table()
    os.mkdir("locked", 0o500)
    return train("s.csv", "--save", "locked/m.st")


@case("--log to a full disk")
def _():
    return train(table(), "--log", "/dev/full")


@case("--save over a file of mode 600: it stays 600", (0,))
def _():
    os.chmod(model(), 0o600)
    code = subprocess.run([BINARY, *train("s.csv", "--quiet", "--save", "m.st")]).returncode
    assert code == 0 and os.stat("m.st").st_mode & 0o777 == 0o600, oct(os.stat("m.st").st_mode)
    return ["inspect", "m.st"]


@case("a path that is not UTF-8 in --save and --log", (0,))
def _():
    return train(table(), "--save", b"m\xff.st", "--log", "log")


@case("predict from a pipe", (0,))
def _():
    model()
    os.mkfifo("pipe")
    threading.Thread(target=lambda: open("pipe", "w").write("a,b\n1,2\n"), daemon=True).start()
    return ["predict", "m.st", "pipe", *CPU]


@case("temporary files of a dead process are removed by the next save", (0,))
def _():
    open(".mlp-gpu-left", "w").write("x" * 1000)
    with open(".mlp-gpu-used", "w") as used:
        fcntl.flock(used, fcntl.LOCK_EX)
        model()
        left = sorted(name for name in os.listdir(".") if name.startswith(".mlp-gpu-"))
    assert left == [".mlp-gpu-used"], left
    return ["inspect", "m.st"]


# More of each kind.
def bytes_of(name, content):
    with open(name, "wb") as f:
        f.write(content)
    return name


def changed(name, change):
    with open(name, "rb") as f:
        content = f.read()
    return bytes_of("changed" + os.path.splitext(name)[1], change(content))


@case("safetensors: a header of 120,000 nested objects")
def _():
    safetensors("deep.st", b'{"a":' * 120000)
    return ["inspect", "deep.st"]


@case("safetensors: tensors that overlap")
def _():
    safetensors("overlap.st", {"0.weight": tensor([1, 2], [0, 8]), "0.bias": tensor([1], [4, 8])}, bytes(8))
    return ["inspect", "overlap.st"]


@case("safetensors: half a file")
def _():
    return ["inspect", changed(model(), lambda content: content[:len(content) // 2])]


@case("safetensors: infinite state of the optimizer")
def _():
    def change(metadata):
        metadata["recipe"]["optimizer"] = "momentum"
        metadata["training"]["slots"] = ["AACAfw=="]
    return ["train", "--resume", edited(change), "--epochs", "3", *CPU]


@case("metadata: steps that no epoch has")
def _():
    return ["train", "--resume", edited(lambda metadata: metadata["training"].__setitem__("step", 1 << 63)), "--epochs", "3", *CPU]


@case("metadata: 2^40 rows")
def _():
    return ["train", "--resume", edited(lambda metadata: metadata["training"].__setitem__("rows", 1 << 40)), "--epochs", "3", *CPU]


@case("metadata: a best state that is not there")
def _():
    judged = {"loss": 1.0, "epoch": 1, "since": 0, "step": 1}
    return ["train", "--resume", edited(lambda metadata: metadata["training"].__setitem__("judged", judged)), "--epochs", "3", *CPU]


for kind, content in [("an empty file", b""), ("a picture", b"\x89PNG\r\n\x1a\n" + bytes(100)), ("a text", b"hello\n" * 100), ("zeros", bytes(1 << 20)),
                      ("the start of a PyTorch file", b"PK\x03\x04" + b"archive/data.pkl" + bytes(100))]:
    @case(f"a model that is {kind}")
    def _(content=content):
        return ["inspect", bytes_of("m.st", content)]


@case("a model that is a folder")
def _():
    os.mkdir("m.st")
    return ["inspect", "m.st"]


@case("onnx: random bytes behind the first field")
def _():
    return ["inspect", bytes_of("m.onnx", b"\x08\x08" + random.Random(2).randbytes(100000))]


for kind, magic in [("parquet", b"PAR1"), ("arrow", b"ARROW1\0\0")]:
    @case(f"{kind}: nothing but its mark and random bytes")
    def _(kind=kind, magic=magic):
        return train(bytes_of("t." + kind, magic + random.Random(4).randbytes(5000) + magic[:6]))


for kind, content in [("rows of other lengths", b"a,label\n1,0\n1,2,3\n"), ("numbers beyond float32", b"a,b,y\n1,1,1.5\n1e400,2,2.5\n3,1,1e300\n"),
                      ("quotes alone", b'"' * 10001), ("line ends alone", b"\n" * 100000), ("delimiters alone", b"," * 100000 + b"\n"),
                      ("UTF-16 of an odd length", "a,label\n1,0\n".encode("utf-16") + b"x"), ("one cell", b"x"), ("labels that are all the same", b"a,label\n" + b"1,x\n" * 50),
                      ("labels that are all different", b"a,label\n" + b"".join(b"%d,c%d\n" % (k, k) for k in range(5000)))]:
    @case(f"csv: {kind}", (0, 1, 2))
    def _(content=content):
        return train(bytes_of("t.csv", content))


@case("csv: 100,000 columns of one name", (1, 2))
def _():
    return train(bytes_of("t.csv", b"a," * 100000 + b"label\n"))


@case("gz: half a file")
def _():
    table(20000)
    return train(bytes_of("t.csv.gz", gzip.compress(open("s.csv", "rb").read())[:5000]))


@case("gz: a wrong checksum")
def _():
    table(2000)
    packed = bytearray(gzip.compress(open("s.csv", "rb").read()))
    packed[-6] ^= 255
    return train(bytes_of("t.csv.gz", bytes(packed)))


@case("zip: 65,000 files", (1, 2))
def _():
    with zipfile.ZipFile("t.zip", "w") as z:
        for number in range(65000):
            z.writestr(f"{number}.csv", b"")
    return train("t.zip")


@case("npy: a header of 4 GiB")
def _():
    return train(bytes_of("x.npy", b"\x93NUMPY\x02\0\xff\xff\xff\xff" + bytes(100)))


for kind, descr, shape in [("Python objects", "|O", "(4,1)"), ("a negative axis", "<f4", "(-4,1)"), ("elements of 65,536 bytes", "|S65536", "(4,1)"),
                           ("2^62 rows", "<f4", f"({1 << 62},1)"), ("no shape", "<f4", "")]:
    @case(f"npz: {kind}")
    def _(descr=descr, shape=shape):
        return train(archive("x.npz", x_train=npy(descr, shape, bytes(16)), y_train=npy("|u1", "(4,)", bytes(4))))


@case("png: half a file")
def _():
    png("p.png", 28, 28, bytes(28))
    return ["predict", digits(), changed("p.png", lambda content: content[:50]), *CPU]


@case("pictures: a folder with a link to itself", (1, 2))
def _():
    os.mkdir("pictures")
    os.symlink(".", "pictures/again")
    return train("pictures")


@case("toml: 100,000 nested lists in a space", (1, 2))
def _():
    return ["search", "--data", table(), "--space", bytes_of("space.toml", b"lr = " + b"[" * 100000), *CPU]


@case("standard input: random bytes")
def _():
    return ["predict", model(), bytes_of("junk.csv", random.Random(5).randbytes(100000)), *CPU]


@case("--save onto a folder")
def _():
    os.mkdir("out")
    return train(table(), "--save", "out")


@case("--save into a folder that is not there")
def _():
    return train(table(), "--save", "none/m.st")


@case("--checkpoint onto the data", (2,))
def _():
    return train(table(), "--checkpoint", "s.csv")


@case("--save where files may have 100 bytes (RLIMIT_FSIZE): the old file stays whole", (0,))
def _():
    model()
    before = open("m.st", "rb").read()
    def small():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    run = subprocess.run([BINARY, *train("s.csv", "--quiet", "--save", "m.st")], preexec_fn=small, stderr=subprocess.PIPE)
    assert run.returncode == 1 and b"cannot write m.st" in run.stderr, run
    assert open("m.st", "rb").read() == before and not [name for name in os.listdir(".") if name.startswith(".mlp-gpu")]
    return ["inspect", "m.st"]


@case("standard output is closed", (0,))
def _():
    code = subprocess.run([BINARY, *train(table())], preexec_fn=lambda: os.close(1), stderr=subprocess.DEVNULL).returncode
    assert code in (0, 1), code
    return ["inspect", model()]


@case("standard error is closed", (0,))
def _():
    code = subprocess.run([BINARY, *train(table())], preexec_fn=lambda: os.close(2), stdout=subprocess.DEVNULL).returncode
    assert code == 0, code
    return ["inspect", model()]


@case("standard output is a full disk", (0,))
def _():
    with open("/dev/full", "w") as full:
        run = subprocess.run([BINARY, *train(table())], stdout=full, stderr=subprocess.PIPE)
    assert run.returncode == 1 and b"No space left" in run.stderr, run
    return ["inspect", model()]


@case("eight processes at one output: it is whole", (0,))
def _():
    table()
    runs = [subprocess.Popen([BINARY, *train("s.csv", "--quiet", "--save", "m.st", "--seed", str(seed))]) for seed in range(8)]
    assert all(run.wait() == 0 for run in runs)
    assert not [name for name in os.listdir(".") if name.startswith(".mlp-gpu")]
    return ["inspect", "m.st"]


@case("a network that diverges")
def _():
    return ["train", "--data", table(), "--hidden", "8", "--recipe", "notebook", "--no-train-eval", "--test-split", "0", "--optimizer", "sgd",
            "--schedule", "exponential", "--gamma", "1e9", "--lr", "1e-3", "--epochs", "50", *CPU]


@case("no network: nothing but data fetch connects", (0,))
def _():
    if shutil.which("strace"):
        run = subprocess.run(["strace", "-f", "-e", "trace=connect", BINARY, *train(table())], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        assert b"AF_INET" not in run.stderr, run.stderr
    return ["inspect", model()]


def limits(memory):
    def set_limits():
        resource.setrlimit(resource.RLIMIT_AS, (int(memory) * 1024,) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return set_limits


def main():
    failed = 0
    for name, make, expect, memory in CASES:
        if WORDS and not any(word in name for word in WORDS):
            continue
        folder = tempfile.mkdtemp(prefix="faults-")
        os.chdir(folder)
        try:
            arguments = make()
            environment = {**os.environ, "MLP_GPU_OFFLINE": "1", "RUST_BACKTRACE": "0"}
            with open(".out", "wb") as out, open(".err", "wb") as err:
                start = time.time()
                child = subprocess.Popen([BINARY, *arguments], stdout=out, stderr=err, stdin=subprocess.DEVNULL, env=environment, preexec_fn=limits(memory))
                timer = threading.Timer(100, child.kill)
                timer.start()
                _, status, usage = os.wait4(child.pid, 0)
                timer.cancel()
                child.returncode = 0
            seconds, code = time.time() - start, os.waitstatus_to_exitcode(status)
            lines = open(".err", "rb").read().split(b"\n")
            errors = [line for line in lines if line.startswith(b"error:")]
            raw = any(byte < 32 and byte != 10 or byte == 127 for line in lines for byte in line)
            good = code in expect and len(errors) == (0 if code == 0 else 1) and not raw and b"panicked" not in b"\n".join(lines)
            good = good and all(len(line) < 2000 for line in lines)
            text = (errors or [b""])[0][:150].decode(errors="replace")
            text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
        except AssertionError as error:
            good, seconds, code, usage, text = False, 0, "-", None, str(error)
        finally:
            os.chdir("/")
            os.chmod(folder, 0o700)
            shutil.rmtree(folder, ignore_errors=True)
        failed += not good
        peak = usage.ru_maxrss / 1000 if usage else 0
        print(f"{'ok  ' if good else 'FAIL'} | {name} | {code} | {seconds:.2f} s | {peak:.0f} MB | {text}", flush=True)
    print(f"{failed} failed")
    sys.exit(failed > 0)


main()
