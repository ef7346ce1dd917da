"""`python -m bench [--short] [NAME…]`: measure, print a table, write results.json. Exits 1 when a goal is missed."""

import argparse
import sys
import time

from bench.ground import lay
from bench.report import Report
from bench.scenarios import REAL, SCENARIOS, SHORT, Run, check


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="How fast is the house, beside baselines?")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(SCENARIOS)}; all without a name")
    parser.add_argument("--short", action="store_true", help="small and quick: shows that it runs, not how fast")
    options = parser.parse_args()
    if strange := [name for name in options.names if name not in SCENARIOS]:
        parser.error(f"there is no {', '.join(strange)}")
    scale, report = SHORT if options.short else REAL, Report()
    begin = time.monotonic()
    with lay(scale.needed) as ground:
        run = Run(ground, scale, report)
        for name in options.names or SCENARIOS:
            print(f"{name}: {SCENARIOS[name].__doc__}", flush=True)
            SCENARIOS[name](run)
        print("check", flush=True)
        check(run)
    print(f"\n{report.table()}\n\n{time.monotonic() - begin:.0f} s")
    report.write()
    return 0 if report.met else 1


if __name__ == "__main__":
    sys.exit(main())
