// The decoder over all code of a real kernel: PVOPS_VMLINUX names an unpacked one (ELF).

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { elfCoverage } from '../../tools/isa-coverage.ts';

const path = process.env.PVOPS_VMLINUX;

/** Privileged or rare instructions that a kernel holds and our CPUs do not offer: #UD is right. */
const NOT_OFFERED =
  /^(encl[su]|vm[a-z]+|st?gi|clgi|skinit|rmp\w+|pvalidate|wrpkru|rdpkru|serialize|xrstors\w*|xsaves\w*|tpause|umwait|mwaitx|monitorx|incssp\w|rdpid|wbnoinvd|clzero|psmash|rdrand|rdseed|monitor|mwait|clflushopt|clwb|tdcall|seamcall|invlpgb|tlbsync|wrss\w|clrssbsy|setssbsy) /;

test.skipIf(!path)(
  'every instruction of the kernel has the length that iced gives it, and is in the table or not offered',
  { timeout: 300_000 },
  () => {
    const coverage = elfCoverage(readFileSync(path ?? ''));
    const missing = [...coverage.missing]
      .filter(([name]) => !/\((VEX|EVEX|XOP)_/.test(name) && !NOT_OFFERED.test(name))
      .map(([name, { count, examples }]) => `${name}: ${count} times, as ${examples[0]}`);
    expect(coverage.total).toBeGreaterThan(100_000);
    expect(coverage.disagreements).toEqual([]);
    expect(missing).toEqual([]);
  },
);
