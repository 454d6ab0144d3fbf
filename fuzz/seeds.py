#!/usr/bin/env python3
"""Makes the corpora from which fuzzing begins: small files of each kind that is read, most of them written by the program itself.

    fuzz/seeds.py target/release/mlp-gpu [FOLDER]

They go to FOLDER (fuzz/seeds), in a folder per target. Needs Python 3 alone."""

import gzip, io, json, os, shutil, struct, subprocess, sys, tempfile, zipfile, zlib

BINARY = os.path.abspath(sys.argv[1])
HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.abspath(sys.argv[2] if len(sys.argv) > 2 else os.path.join(HERE, "seeds"))
TABLES = os.path.join(HERE, "..", "tests", "reference", "tables")
ENVIRONMENT = {**os.environ, "MLP_GPU_OFFLINE": "1", "NODEVICE_SELECT": "1"}


def seed(target, name, content):
    os.makedirs(os.path.join(FOLDER, target), exist_ok=True)
    with open(os.path.join(FOLDER, target, name), "wb") as f:
        f.write(content)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def run(*words):
    subprocess.run([BINARY, *words], check=True, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def zipped(**files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, content in files.items():
            z.writestr(name.replace("_dot_", "."), content)
    return out.getvalue()


def tables():
    plain = "name,size,when,label\n" + "".join(f"c{k % 3},{k}.5,2024-01-{k + 1:02},{'ab'[k % 2]}\n" for k in range(12))
    dialects = {
        "plain": plain,
        "semicolon": "sep=;\na;b;label\n1,5;2;0\n2,5;;1\n3,5;4;0\n",
        "tab": "a\tb\tlabel\n1\t2\t0\n3\tx\t1\n",
        "blank": "# a comment\n1 2 0\n3 4 1\n5 6 0\n",
        "pipe": "a|b|label\n\"1|1\"|2|0\n3|4|1\n",
        "thousands": "a,label\n\"1,000.5\",0\n\"2,000\",1\n$3,1\n4%,0\n",
        "quotes": "a,b,label\n\"x\"\"y\",\"two\nlines\",0\n'z',,1\n",
        "missing": "a,b,label\n?,1,0\nNA,,1\nnull,NaN,0\n3,4,1\n",
        "columns": "# x y\n1,2,\n3,4,\n",
        "values": "a,b,target\n1,2,0.5\n2,3,1.25\n3,4,-7e3\n",
        "times": "t,label\n2024-02-30T10:00:00Z,0\n12:30,1\n01/02/2024,0\n1 h,1\n",
        "odd": "a,b\r\n1,2\r3,4\n\n5,6",
    }
    contents = {name: text.encode() for name, text in dialects.items()}
    contents["utf16"] = b"\xff\xfe" + plain.encode("utf-16-le")
    contents["bom"] = b"\xef\xbb\xbf" + plain.encode()
    contents["windows"] = "name,label\ncaf\xe9,0\nth\xe9,1\n".encode("latin-1")
    contents["gzip"] = gzip.compress(plain.encode(), 9, mtime=0)
    contents["bomb"] = gzip.compress(b"1,1\n" * (1 << 16), 9, mtime=0)
    contents["zip"] = zipped(train_dot_csv=plain)
    # A frame of zstd with one raw block.
    raw = dialects["tab"].encode()
    contents["zstd"] = struct.pack("<IBB", 0xFD2FB528, 0x20, len(raw)) + struct.pack("<I", len(raw) << 3 | 1)[:3] + raw
    for name, content in contents.items():
        seed("table", name, b"\0\0" + content)
        seed("table", name + "-last", b"\x01\0" + content)
    for name in os.listdir(TABLES):
        if not name.endswith(".csv"):
            seed("columnar", name, b"\x01\0" + read(os.path.join(TABLES, name)))


def npy(descr, shape, body, fortran=False):
    text = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", 118) + text.ljust(117).encode() + b"\n" + body


def arrays():
    x, y = struct.pack("<12f", *range(12)), bytes([0, 1, 0, 1, 1, 0])
    kinds = {
        "floats": (npy("<f4", "(6, 2)", x), npy("|u1", "(6,)", y)),
        "fortran": (npy("<f8", "(6, 2)", struct.pack("<12d", *range(12)), True), npy("<i8", "(6,)", struct.pack("<6q", *y))),
        "pixels": (npy("|u1", "(6, 2, 2)", bytes(range(24))), npy("<U1", "(6,)", "ababba".encode("utf-32-le"))),
        "half": (npy("<f2", "(6, 1, 2)", struct.pack("<12e", *range(12))), npy("|b1", "(6,)", y)),
        "one-hot": (npy(">i4", "(6, 2)", struct.pack(">12i", *range(12))), npy("|i1", "(6, 2)", b"\1\0\0\1\1\0\0\1\0\1\1\0")),
        "values": (npy("<f4", "(6, 2)", x), npy("<f4", "(6, 1)", struct.pack("<6f", *range(6)))),
    }
    for name, (inputs, targets) in kinds.items():
        seed("arrays", name + "-npz", b"\0" + zipped(x_train_dot_npy=inputs, y_train_dot_npy=targets))
        seed("arrays", name + "-npy", b"\1" + inputs)
    seed("arrays", "parts-npz", b"\0" + zipped(**{f"{part}_{what}_dot_npy": array for part in ["train", "val", "test"]
                                               for what, array in zip(["images", "labels"], kinds["pixels"])}))
    idx = bytes([0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 2]) + bytes(range(16))
    for name, content in [("idx", idx), ("idx-gzip", gzip.compress(idx, mtime=0)), ("idx-floats", bytes([0, 0, 13, 2, 0, 0, 0, 4, 0, 0, 0, 1]) + x[:16])]:
        seed("arrays", name, b"\2" + content)
    labels = bytes([0, 0, 8, 1, 0, 0, 0, 4, 0, 1, 0, 1])
    seed("arrays", "labels", b"\3" + gzip.compress(labels, mtime=0))
    seed("arrays", "labels-long", b"\3" + gzip.compress(bytes([0, 0, 12, 2, 0, 0, 0, 4, 0, 0, 0, 8]) + bytes(128), mtime=0))


def header_of(content):
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8:8 + length])


def models():
    with open("t.csv", "w") as f:
        f.write("a,b,label\n" + "".join(f"{k % 7}.5,{k % 5},{k % 2}\n" for k in range(40)))
    with open("v.csv", "w") as f:
        f.write("a,b,c,target\n" + "".join(f"{k % 7}.5,x{k % 3},{k if k % 4 else ''},{k * 1.37}\n" for k in range(40)))
    common = ["--backend", "cpu", "--epochs", "2", "--quiet"]
    sets = {
        "sgd": ["--data", "t.csv", "--hidden", "4", "--recipe", "notebook"],
        "adam": ["--data", "t.csv", "--hidden", "4", "--recipe", "notebook", "--optimizer", "adam", "--scale", "robust"],
        "table": ["--data", "t.csv", "--hidden", "4"],
        "values": ["--data", "v.csv", "--hidden", "3", "--validation-split", "0.2", "--early-stop", "3"],
        "members": ["--data", "t.csv", "--hidden", "3", "--members", "2"],
    }
    for name, flags in sets.items():
        run("train", *flags, *common, "--save", "m.st")
        seed("model", name, read("m.st"))
        text = header_of(read("m.st"))["__metadata__"]["mlp-gpu"]
        if name not in ["values", "members"]:
            seed("metadata", name, text.encode())
    run("train", *sets["values"], *common, "--checkpoint", "c.st", "--checkpoint-every", "1")
    seed("model", "checkpoint", read("c.st"))
    run("train", *sets["sgd"], *common, "--save", "m.st")
    for name in ["m.onnx", "m.npz", "plain.safetensors"]:
        run("export", "m.st", "--output", name)
        seed("model", name, read(name))
    # As PyTorch names layers and a batch norm.
    tensors, end = {}, 0
    for name, shape in [("fc1.weight", [3, 2]), ("fc1.bias", [3]), ("bn.weight", [3]), ("bn.bias", [3]), ("bn.running_mean", [3]),
                        ("bn.running_var", [3]), ("fc2.weight", [2, 3]), ("fc2.bias", [2])]:
        size = 2 * (shape[0] * shape[1] if len(shape) == 2 else shape[0])
        tensors[name] = {"dtype": "F16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(tensors).encode()
    seed("model", "torch", struct.pack("<Q", len(text)) + text + b"\x00\x3c" * (end // 2))


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def pictures():
    def png(kind, channels, depth=8):
        lines = b"".join(b"\0" + bytes((17 * x + 31 * y) % 256 for x in range(9 * channels * depth // 8)) for y in range(9))
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, depth, kind, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b"")

    contents = {"grey.png": png(0, 1), "colour.png": png(2, 3), "clear.png": png(6, 4), "deep.png": png(0, 1, 16)}
    contents["pgm"] = b"P5\n# a comment\n9 9\n255\n" + bytes(3 * k % 256 for k in range(81))
    contents["ppm"] = b"P6 3 3 255\n" + bytes(9 * k % 256 for k in range(27))
    contents["pbm"] = b"P1\n3 2\n0 1 0\n1 0 1\n"
    contents["bmp"] = b"BM" + struct.pack("<IHHI", 54 + 36, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 3, 3, 1, 24, 0, 36, 0, 0, 0, 0) + bytes(7 * k % 256 for k in range(36))
    contents["gif"] = (b"GIF89a" + struct.pack("<HHBBB", 2, 2, 0x80, 0, 0) + bytes([0, 0, 0, 255, 255, 255]) + b"\x2c"
                       + struct.pack("<HHHHB", 0, 0, 2, 2, 0) + bytes([2, 3, 0x44, 0x02, 0x05, 0]) + b"\x3b")
    contents["tiff"] = (b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 8)
                        + b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in
                                   [(256, 3, 3), (257, 3, 3), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 110), (278, 3, 3), (279, 4, 9)])
                        + struct.pack("<I", 0) + bytes(20 * k for k in range(9)))
    contents["webp"] = b"RIFF" + struct.pack("<I", 26) + b"WEBPVP8L" + struct.pack("<I", 13) + bytes([0x2f, 0, 0, 0, 0x10, 7, 0x10, 0x11, 0x11, 0x88, 0x88, 8, 0, 0])
    # One grey block of 8 x 8.
    tables = b"\xff\xdb" + struct.pack(">HB", 67, 0) + bytes([8] * 64)
    huffman = b"".join(b"\xff\xc4" + struct.pack(">HB", 20, kind) + bytes([1] + [0] * 15) + b"\0" for kind in [0x00, 0x10])
    contents["jpeg"] = (b"\xff\xd8" + tables + b"\xff\xc0" + struct.pack(">HBHHBBBB", 11, 8, 8, 8, 1, 1, 0x11, 0) + huffman
                        + b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 0, 63, 0) + b"\x3f\xff\xd9")
    for name, content in contents.items():
        for choice in range(3):
            seed("picture", f"{name}-{choice}", bytes([choice]) + content)


def texts():
    seed("options", "config", b"\0" + b"hidden = [8, 4]\nlr = 0.01\noptimizer = \"adam\"\nno-shuffle = true\nlabel = -1\nquiet = true\n")
    seed("options", "space", b"\1" + b"hidden = [[128, 128], [256]]\nactivation = [\"relu\"]\nlr = { from = 1e-4, to = 1e-2, log = true }\n")
    common = ["--backend", "cpu", "--quiet"]
    run("train", "--data", "v.csv", "--hidden", "3", "--epochs", "2", *common, "--run-dir", "run")
    for choice, name in enumerate(["log.jsonl", "evaluation.json", "config.toml"]):
        folder = next(root for root, _, files in os.walk("run") if name in files)
        seed("run", name, bytes([choice]) + read(os.path.join(folder, name)))
    seed("options", "config-of-a-run", b"\0" + read(os.path.join(folder, "config.toml")))
    run("train", "--data", "t.csv", "--hidden", "3", "--epochs", "1", *common, "--run-dir", "classes")
    folder = next(root for root, _, files in os.walk("classes") if "evaluation.json" in files)
    seed("run", "classes", b"\1" + read(os.path.join(folder, "evaluation.json")))
    run("cv", "--data", "t.csv", "--hidden", "3", "--epochs", "1", "--folds", "2", *common, "--log", "cv.jsonl")
    seed("run", "cv", b"\0" + read("cv.jsonl"))
    run("search", "--data", "t.csv", "--trials", "2", "--folds", "2", "--epochs", "16", *common, "--log", "search.jsonl")
    seed("run", "search", b"\0" + read("search.jsonl"))
    seed("run", "search-resumed", b"\3" + read("search.jsonl"))
    run("train", "--data", "t.csv", "--hidden", "3", "--epochs", "1", "--members", "2", *common, "--shard", "1/1", "--parts", "parts")
    for name in os.listdir("parts"):
        if name.startswith("shard-1"):
            seed("run", "shard", b"\4" + read(os.path.join("parts", name)))
        elif name.startswith("network-"):
            seed("run", "network", b"\5" + read(os.path.join("parts", name)))


def main():
    here = tempfile.mkdtemp(prefix="seeds-")
    os.chdir(here)
    for make in [tables, arrays, models, pictures, texts]:
        make()
    os.chdir("/")
    shutil.rmtree(here)
    for target in sorted(os.listdir(FOLDER)):
        print(f"{target}: {len(os.listdir(os.path.join(FOLDER, target)))} files")


main()
