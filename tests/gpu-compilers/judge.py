"""Judges what compilers made of the kernels: judge.py FOLDER CACHE [--record | --ways] COMPILER...

Prints a table, and what is wrong. A row is a program with a compiler; it goes by the first dispatch that launches it.
"""

import csv
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
# What `bench --explain` knows of programs, and the compilers whose cycles stand there.
CYCLES = HERE.parent.parent / "assets/cycles.tsv"
COUNTING = ["nvk-hopper", "radv-rdna3", "asahi-m1", "turnip-a740"]
COLUMNS = ["registers", "spills", "memory", "workgroup", "waves", "instructions", "cycles"]

# Of each family of compilers the statistics that are added up for a column. `memory` is what an invocation keeps in memory
# of its own: spilled registers, and arrays.
STATISTICS = {
    "radv": {
        "registers": ["VGPRs"],
        "spills": ["Spilled SGPRs", "Spilled VGPRs"],
        "memory": ["Scratch size"],
        "workgroup": ["LDS size"],
        "waves": ["Subgroups per SIMD"],
        "instructions": ["Instructions"],
        "cycles": ["Latency"],
    },
    "nvk": {
        "registers": ["Number of GPRs"],
        "spills": ["Spills to memory", "Fills from memory"],
        "memory": ["SLM size"],
        "waves": ["Max warps/SM"],
        "instructions": ["Instruction count"],
        "cycles": ["Static cycle count"],
    },
    "asahi": {
        "registers": ["GPRs"],
        "spills": ["Spills", "Fills"],
        "memory": ["Scratch"],
        "waves": ["Threads"],
        "instructions": ["Instructions"],
        "cycles": ["ALU"],
    },
    "turnip": {
        "registers": ["Registers used"],
        "spills": ["STP Count", "LDP Count"],
        "waves": ["Max Waves Per Core"],
        "instructions": ["Instruction Count"],
        "cycles": ["Instruction Count", "Estimated cycles stalled on SS", "Estimated cycles stalled on SY"],
    },
    "ptxas": {
        "registers": ["Registers"],
        "spills": ["Spill stores", "Spill loads"],
        "memory": ["Stack"],
        "workgroup": ["Shared memory"],
        "instructions": ["Instructions"],
    },
    # Arrays here are what drivers may still unroll, so they are no `memory`.
    "dxc": {"instructions": ["Instructions"]},
}
# The most registers of an invocation: with them two workgroups still share a processor.
BUDGETS = {"radv": 192, "nvk": 168, "asahi": 256, "turnip": 48, "ptxas": 168}
# The most workgroup memory.
WORKGROUP_BYTES = 49_152
# A change of more than this share of the baseline is one; registers come in blocks.
MARGIN, REGISTERS = 0.1, 8


def table(path):
    """The rows of a file of tab-separated values; lines that begin with # are not of it."""
    with open(path) as file:
        return list(csv.DictReader((line for line in file if not line.startswith("#")), delimiter="\t"))


def family(compiler):
    return compiler.split("-")[0]


def name_of(launch):
    return f"{launch['plan']}, {launch['place']}: {launch['what']}"


def measure(folder, compiler, launches):
    """The compiler's rows by name, what it refused, and the number of cycles of each program."""
    declared = {}
    for line in (folder / "programs.tsv").read_text().splitlines():
        number, _, workgroup, _ = line.split("\t")
        declared[number] = int(workgroup)
    found = {}
    for line in (folder / f"{compiler}.txt").read_text().splitlines():
        if not line.startswith("#"):
            number, statistic, value = line.split("\t")
            found.setdefault(number, {})[statistic] = value
    rows, refused = {}, {}
    for launch in launches:
        number, name = launch["program"], name_of(launch)
        values = found.pop(number, {})
        if "failed" in values:
            refused[name] = values["failed"]
        elif values:
            columns = STATISTICS[family(compiler)]
            rows[name] = {column: sum(round(float(values[one])) for one in of) for column, of in columns.items()}
            if family(compiler) != "dxc":
                rows[name].setdefault("workgroup", declared[number])
            rows[name]["program"] = number
    return rows, refused


def faults(compiler, row):
    """What no kernel may do."""
    limits = {"spills": 0, "memory": 0, "registers": BUDGETS.get(family(compiler)), "workgroup": WORKGROUP_BYTES}
    return [f"{column} {row[column]}, at most {most}" for column, most in limits.items() if row.get(column, 0) > (most or 0)]


def worse(row, old):
    """The columns that became worse than in the baseline by more than the margin."""
    found = []
    for column in COLUMNS:
        if not old.get(column) or column not in row:
            continue
        before, now = int(old[column]), row[column]
        if column == "waves":
            before, now = now, before
        least = {"registers": REGISTERS, "spills": 0, "memory": 0}.get(column, MARGIN * before)
        if now - before > least:
            found.append(f"{column} {old[column]} -> {row[column]}")
    return found


def print_tables(results, launches):
    print("| compiler | programs | most registers | spilling | most workgroup memory | fewest waves | instructions |")
    print("|---|---|---|---|---|---|---|")
    for compiler, (rows, _) in results.items():
        of = lambda column: [row[column] for row in rows.values() if column in row] or ["-"]
        spilling = sum(bool(row.get("spills") or row.get("memory")) for row in rows.values())
        total = sum(of("instructions"))
        most, fewest = (max(of("registers")), max(of("workgroup"))), min(of("waves"))
        print(f"| {compiler} | {len(rows)} | {most[0]} | {spilling} | {most[1]} | {fewest} | {total} |")
    timed = [compiler for compiler in results if "cycles" in STATISTICS[family(compiler)]]
    print("\nStatic cycles of a step: of one wave, each loop as its compiler counts it. A wave of a dispatch that joins launches does one of")
    print("them: the one that takes longest counts.\n")
    print("| step | dispatches | " + " | ".join(timed) + " |")
    print("|---|---|" + "---|" * len(timed))
    steps = {}
    for launch in launches:
        if launch["plan"].endswith(" step"):
            # The first is the way that is taken.
            steps.setdefault(launch["plan"], {}).setdefault(launch["place"], launch["program"])
    for plan, programs in steps.items():
        dispatches, cells = {}, []
        for place, program in programs.items():
            dispatch = place.split(".")[0]
            dispatches.setdefault(dispatch, []).append(program)
        # Of joined launches the first line is that of all.
        alternatives = [pieces[len(pieces) > 1 :] for pieces in dispatches.values()]
        for compiler in timed:
            cycles = {row["program"]: row["cycles"] for row in results[compiler][0].values()}
            total = sum(max(cycles.get(program, 0) for program in pieces) for pieces in alternatives)
            cells.append(str(total) if all(program in cycles for pieces in alternatives for program in pieces) else "-")
        print(f"| {plan.removesuffix(' step')} | {len(dispatches)} | " + " | ".join(cells) + " |")


def record(results, versions):
    """Writes the rows of these compilers into the baseline; those of others stay."""
    baseline = HERE / "baseline.tsv"
    kept = [row for row in table(baseline) if row["compiler"] not in results] if baseline.exists() else []
    comments = baseline.read_text().splitlines() if baseline.exists() else []
    comments = [line for line in comments if line.startswith("#") and line[2:].split(": ")[0] not in results]
    comments += [f"# {compiler}: {versions[compiler]}" for compiler in results]
    for compiler, (rows, _) in results.items():
        kept += [{"compiler": compiler, "program": name, **{c: row.get(c, "") for c in COLUMNS}} for name, row in rows.items()]
    kept.sort(key=lambda row: row["compiler"])
    with open(baseline, "w") as file:
        file.writelines(line + "\n" for line in sorted(comments))
        writer = csv.DictWriter(file, ["compiler", "program", *COLUMNS], delimiter="\t", lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(kept)
    print(f"\nRecorded in {baseline}")


def record_cycles(results, launches):
    """Writes the cycles of all programs for `bench --explain`."""
    programs = {launch["program"]: launch["fingerprint"] for launch in launches}
    cycles = {compiler: {row["program"]: row["cycles"] for row in results[compiler][0].values()} for compiler in COUNTING}
    with open(CYCLES, "w") as file:
        print("program", *COUNTING, sep="\t", file=file)
        for number, fingerprint in sorted(programs.items(), key=lambda program: program[1]):
            print(fingerprint, *(cycles[compiler].get(number, "") for compiler in COUNTING), sep="\t", file=file)
    print(f"Recorded in {CYCLES}")


def main():
    folder, cache, flag, compilers = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), None, sys.argv[3:]
    if compilers[0].startswith("--"):
        flag, *compilers = compilers
    launches = table(folder / "launches.tsv")
    results = {compiler: measure(folder, compiler, launches) for compiler in compilers}
    kits = {"ptxas": "nvidia", "dxc": "dxc"}
    version = lambda compiler: (cache / kits.get(family(compiler), "mesa") / "VERSION").read_text().strip()
    versions = {compiler: version(compiler) for compiler in compilers}
    print_tables(results, launches)
    if flag == "--record":
        record(results, versions)
        if set(COUNTING) <= set(results):
            record_cycles(results, launches)

    known = {(row["compiler"], row["program"]) for row in table(HERE / "known-failures.tsv")}
    known = {key for key in known if key[0] in compilers}
    baseline = HERE / "baseline.tsv"
    old = {(row["compiler"], row["program"]): row for row in table(baseline)} if baseline.exists() else {}
    lines = baseline.read_text().splitlines() if baseline.exists() else []
    recorded = dict(line[2:].split(": ", 1) for line in lines if line.startswith("#"))
    wrong, notes = [], []
    for compiler, (rows, refused) in results.items():
        wrong += [f"{compiler}: {name}: refused: {why}" for name, why in refused.items()]
        if not rows:
            wrong.append(f"{compiler}: it compiled nothing")
        # Another version is held to the limits only.
        same = recorded.get(compiler) == versions[compiler]
        if not same:
            then = recorded.get(compiler, "nothing")
            notes.append(f"{compiler}: {versions[compiler]}, and the baseline is of {then}: not compared")
        differing = wrong if same else notes
        for name, row in rows.items():
            found, key = faults(compiler, row), (compiler, name)
            if found and key not in known:
                wrong.append(f"{compiler}: {name}: {'; '.join(found)}")
            elif not found and key in known:
                differing.append(f"{compiler}: {name}: no longer fails, take it out of known-failures.tsv")
            if flag or not same:
                continue
            if key not in old:
                wrong.append(f"{compiler}: {name}: not in the baseline")
            elif found := worse(row, old[key]):
                wrong.append(f"{compiler}: {name}: {'; '.join(found)}")
        gone = [name for of, name in old if of == compiler and name not in rows and same and not flag]
        gone += [name for of, name in known if of == compiler and name not in rows]
        wrong += [f"{compiler}: {name}: no longer launched" for name in dict.fromkeys(gone)]
    counted = {row["program"] for row in table(CYCLES)} if CYCLES.exists() else set()
    if not flag and (new := {launch["fingerprint"] for launch in launches} - counted):
        wrong.append(f"{len(new)} programs are not in assets/cycles.tsv")
    print(f"\n{len(known)} known failures of these compilers, in tests/gpu-compilers/known-failures.tsv")
    for note in notes:
        print(f"note: {note}")
    for fault in wrong:
        print(f"error: {fault}")
    if wrong:
        sys.exit("" if flag else "If a change of the table is meant, tests/gpu-compilers/run --record writes the baseline anew.")
    print("All is well.")


main()
