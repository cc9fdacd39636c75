// The decoder over all code of Debian's cloud kernel, instruction by instruction against iced-x86.

import { expect, test } from 'vitest';
import { findKernel } from '../../src/host/node/index.ts';
import { elfCoverage } from '../../tools/isa-coverage.ts';

const KERNEL = 'debian:12/cloud-amd64';
const found = await findKernel(KERNEL).catch(() => null);
if (!found && process.env.PVOPS_REQUIRE_KERNELS === '1')
  throw new Error(`${KERNEL} has not been pulled`);

/** Privileged or rare instructions that a kernel holds and our CPUs do not offer: #UD is right. */
const NOT_OFFERED =
  /^(encl[su]|vm[a-z]+|st?gi|clgi|skinit|rmp\w+|pvalidate|wrpkru|rdpkru|serialize|xrstors\w*|xsaves\w*|tpause|umwait|mwaitx|monitorx|incssp\w|rdpid|wbnoinvd|clzero|psmash|rdrand|rdseed|monitor|mwait|clflushopt|clwb|tdcall|seamcall|invlpgb|tlbsync|wrss\w|clrssbsy|setssbsy) /;

test.skipIf(!found)(
  'every instruction of the kernel has the length that iced gives it, and is in the table or not offered',
  { timeout: 300_000 },
  () => {
    const coverage = elfCoverage(found?.kernel.elf().bytes ?? new Uint8Array());
    const missing = [...coverage.missing]
      .filter(([name]) => !/\((VEX|EVEX|XOP)_/.test(name) && !NOT_OFFERED.test(name))
      .map(([name, { count, examples }]) => `${name}: ${count} times, as ${examples[0]}`);
    expect(coverage.total).toBeGreaterThan(100_000);
    expect(coverage.disagreements).toEqual([]);
    expect(missing).toEqual([]);
  },
);
