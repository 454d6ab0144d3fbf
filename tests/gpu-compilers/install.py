"""Fetches compilers into a folder: install.py FOLDER mesa|nvidia|dxc. Nothing outside the folder is touched, no root is needed.

mesa    Mesa's Vulkan drivers and the shims that stand in for a GPU, as Debian packages with all they need: they run by the
        dynamic linker of that tree, so that the system's own libraries do not matter. MLP_GPU_DEBIAN names another mirror,
        such as a date of snapshot.debian.org.
nvidia  NVRTC and ptxas, from PyPI.
dxc     Microsoft's HLSL compiler, from PyPI.
"""

import hashlib
import io
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
import zipfile

MIRROR = os.environ.get("MLP_GPU_DEBIAN", "https://deb.debian.org/debian").rstrip("/")
# Mesa 26.2 is the first that compiles for Hopper; releases have older ones.
SUITE = "sid"
MESA = ["mesa-vulkan-drivers", "mesa-drm-shim"]
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# Place below https://files.pythonhosted.org/packages/, SHA-256, and what is taken out.
PYPI = {
    "nvidia": [
        (
            "25/48/b54a06168a2190572a312bfe4ce443687773eb61367ced31e064953dd2f7/"
            "nvidia_cuda_nvcc_cu12-12.9.86-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
            "5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0",
            r"bin/ptxas$",
        ),
        (
            "b8/85/e4af82cc9202023862090bfca4ea827d533329e925c758f0cde964cb54b7/"
            "nvidia_cuda_nvrtc_cu12-12.9.86-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
            "210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4",
            r"lib/libnvrtc(-builtins)?\.so[.0-9]*$",
        ),
    ],
    "dxc": [
        (
            "da/2f/e84188f13e07c444fa8593e6980b9db85c0aea3fde699f509d11bd7ca6c7/compushady-0.17.5.tar.gz",
            "5052caf9e955d8e7a48e22f536e82b44b72e83af46e824a9e99157c7809de691",
            r"libdxcompiler_x86_64\.so[.0-9]*$",
        ),
    ],
}


def fetch(url, sha256=None):
    """The bytes at `url`, tried three times; it ends the program where they are not those of `sha256`."""
    for attempt in range(3):
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                data = answer.read()
            break
        except OSError as error:
            if attempt == 2:
                sys.exit(f"error: {url}: {error}")
            time.sleep(2)
    if sha256 and hashlib.sha256(data).hexdigest() != sha256:
        sys.exit(f"error: {url}: its SHA-256 is not {sha256}")
    return data


def packages():
    """The suite's packages, by name; the index is checked by the suite's signed list of sums."""
    signed = fetch(f"{MIRROR}/dists/{SUITE}/InRelease")
    if os.path.exists(KEYRING) and shutil.which("gpgv"):
        done = subprocess.run(["gpgv", "--quiet", "--keyring", KEYRING], input=signed, capture_output=True)
        if done.returncode:
            sys.exit(f"error: the signature of {MIRROR}/dists/{SUITE}/InRelease does not hold: {done.stderr.decode()}")
    sums = re.search(r"^SHA256:\n((?: .*\n)+)", signed.decode(), re.M).group(1)
    name = "main/binary-amd64/Packages.xz"
    sha256 = re.search(rf"^ (\w+) +\d+ {re.escape(name)}$", sums, re.M).group(1)
    found = {}
    for stanza in lzma.decompress(fetch(f"{MIRROR}/dists/{SUITE}/{name}", sha256)).decode().split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z0-9-]+): (.*)$", stanza, re.M))
        if "Package" in fields:
            found[fields["Package"]] = fields
    return found


def unpack_deb(data, folder):
    """Unpacks the libraries of a Debian package: an `ar` archive with a tar archive in it."""
    at = 8
    while at < len(data):
        name, size = data[at : at + 16].decode().strip(" /"), int(data[at + 48 : at + 58])
        if name.startswith("data.tar"):
            with tarfile.open(fileobj=io.BytesIO(data[at + 60 : at + 60 + size])) as tar:
                wanted = [one for one in tar if re.match(r"\./(usr/)?lib(64)?/", one.name) and "/python3/" not in one.name]
                safely = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}  # not in older Pythons
                tar.extractall(folder, wanted, **safely)
            return
        at += 60 + size + size % 2


def mesa(folder):
    offered, wanted, taken = packages(), list(MESA), {}
    for name in wanted:  # grows
        fields = offered.get(name) or sys.exit(f"error: Debian {SUITE} has no package {name}")
        taken[name] = fields
        needs = f"{fields.get('Pre-Depends', '')}, {fields.get('Depends', '')}"
        for need in re.findall(r"(?:^|, )\s*([a-z0-9][a-z0-9+.-]+)", needs):
            # Nothing is configured and no script is run.
            if need not in wanted and not need.startswith(("debconf", "perl", "python3", "dpkg")):
                wanted.append(need)
    for fields in taken.values():
        unpack_deb(fetch(f"{MIRROR}/{fields['Filename']}", fields["SHA256"]), folder)
    return "Mesa " + taken[MESA[0]]["Version"]


def pypi(what, folder):
    for place, sha256, pattern in PYPI[what]:
        data = io.BytesIO(fetch(f"https://files.pythonhosted.org/packages/{place}", sha256))
        if place.endswith(".whl"):
            archive = zipfile.ZipFile(data)
            files = [(name, archive.open(name)) for name in archive.namelist() if re.search(pattern, name)]
        else:
            archive = tarfile.open(fileobj=data)
            files = [(one.name, archive.extractfile(one)) for one in archive if re.search(pattern, one.name)]
        for name, file in files:
            path = folder / pathlib.PurePosixPath(name).name
            path.write_bytes(file.read())
            path.chmod(0o755)
    return {"nvidia": "NVRTC and ptxas 12.9.86", "dxc": "DXC of compushady 0.17.5"}[what]


def main():
    folder, what = pathlib.Path(sys.argv[1]), sys.argv[2]
    folder.mkdir(parents=True, exist_ok=True)
    # What is not whole is never seen under its name.
    with tempfile.TemporaryDirectory(dir=folder) as new:
        place = pathlib.Path(new) / what
        place.mkdir()
        version = mesa(place) if what == "mesa" else pypi(what, place)
        (place / "VERSION").write_text(version + "\n")
        shutil.copyfile(__file__, place / "install.py")
        shutil.rmtree(folder / what, ignore_errors=True)
        place.rename(folder / what)
    print(f"{version}: {folder / what}")


main()
