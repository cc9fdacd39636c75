// The symbols of Debian's kernels out of their images, and the callers that they name where KASLR has moved the kernel.

import { describe, expect, it } from 'vitest';
import { findInterface, kernelNames, startTrace, type TraceEvent } from '../../src/lab/index.ts';
import { boot, findKernel, pulledKernel, titleOf } from './boot.ts';

const KERNELS = ['debian:12/cloud-amd64', 'debian:12/amd64', 'debian:12/686-pae', 'debian:12/686'];

for (const name of KERNELS) {
  const pulled = await pulledKernel(name);

  describe.skipIf(!pulled)(titleOf(name, pulled), () => {
    it('has symbols: its entry is where they say', async () => {
      const { kernel } = await findKernel(name);
      const elf = kernel.elf();
      const { symbols } = kernelNames(kernel);
      expect(symbols?.size).toBeGreaterThan(40_000);
      const bits = elf.bits;
      const code = elf.segments.find(({ flags, vaddr }) => flags & 1 && vaddr !== 0n)!;
      const first = Number(bits === 64 ? BigInt.asIntN(64, code.vaddr) : code.vaddr);
      expect(symbols?.find(first)?.offset).toBe(0);
      expect(symbols?.find(first)?.name).toMatch(/^(startup_(32|64)|_text|_stext)$/);
    });
  });
}

const moved = await pulledKernel('debian:12/cloud-amd64');
describe.skipIf(!moved)(titleOf('debian:12/cloud-amd64', moved), () => {
  it('is known by its banner when its own setup code has moved it', async () => {
    const found = await findKernel('debian:12/cloud-amd64');
    const session = startTrace({
      on: findInterface('native'),
      head: { kernel: 'k', sha256: '' },
      operations: 'cpu.load_idt,cpu.write_cr4',
      format: 'jsonl',
      ...kernelNames(found.kernel),
    });
    await boot(
      found,
      'native',
      { boot: 'setup', expectText: 'Linux version' },
      { tracer: session.tracer },
    );
    const lines = session.finish().join('').trimEnd().split('\n').slice(1);
    const events = lines.map((line) => JSON.parse(line) as TraceEvent);
    const callers = events.map(({ caller }) => caller);
    expect(callers).toContainEqual(expect.stringMatching(/^cr4_update_irqsoff\+0x/));
    expect(callers).toContainEqual(expect.stringMatching(/^x86_64_start_kernel\+0x/));
    // Beyond them, by the tables that the image has for its own unwinder.
    const beyond = events.map((event) => event.callers);
    expect(beyond).toContainEqual(
      expect.stringMatching(/^cr4_set_bits .*\binit_mem_mapping setup_arch start_kernel\b/),
    );
  });
});
