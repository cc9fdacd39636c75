// Translated loops that do what kernels do: open and close user pages, let interrupts in.

import { describe, expect, it } from 'vitest';
import { CR0_PE, CR0_PG, CR0_WP, CR4_SMAP } from '../control-bits.ts';
import type { EngineName } from '../core.ts';
import { POLICY_INTERRUPTS, setPolicy } from '../policy.ts';
import { CODE, type Guest, guest } from '../testing/guest.ts';

const DIRECTORY = 0x20000;
const TABLE = 0x21000;
const USER_PAGE = 0x30000;
const KERNEL_PAGE = 0x31000;
const USER = 7;
const KERNEL = 3;
const ESI = 6;
const WARM = 600;
const EXITS = { exceptions: -1, instructions: POLICY_INTERRUPTS };

const soon = { threshold: 16, batch: 1 };

function running(engine: EngineName, text: string): Guest {
  const g = guest(engine, soon).code(text);
  setPolicy(g.state, EXITS);
  return g;
}

/** The first MiB one to one, the kernel's but for USER_PAGE, which SMAP guards. */
function guarded(g: Guest): Guest {
  g.write32(DIRECTORY, TABLE | USER);
  for (let n = 0; n < 256; n++) g.write32(TABLE + n * 4, (n << 12) | KERNEL);
  g.write32(TABLE + (USER_PAGE >> 12) * 4, USER_PAGE | USER);
  g.state.set('cr3', DIRECTORY);
  g.state.set('cr4', CR4_SMAP);
  g.state.set('cr0', (CR0_PE | CR0_PG | CR0_WP) >>> 0);
  g.cpu.stateChanged();
  return g;
}

const ask = ({ cpu, state }: Guest, budget: number) => {
  const exit = { ...cpu.run(budget) };
  return { ...exit, rip: state.get('rip'), retired: cpu.retired() };
};

describe.each(['reference', 'interpreter', 'jit'] as const)('on the %s', (engine) => {
  it('what STAC has opened is closed behind CLAC, though a loop has just read it', () => {
    const loop = 'again:\n stac; mov eax, [esi]; clac; mov edx, [esi]; dec ecx; jnz again; hlt';
    const g = guarded(running(engine, loop));
    g.state.setGpr32(ESI, KERNEL_PAGE);
    ask(g, WARM);
    g.state.setGpr32(ESI, USER_PAGE);
    ask(g, 2); // From here on the TLB has it, for open pages.
    g.state.setVa('rip', CODE);
    expect(ask(g, WARM)).toMatchObject({ kind: 'exception', vector: 14, retired: WARM + 2 + 3 });
  });

  it.each([
    [0, 3],
    [1, 3],
    [2, 3],
    [3, 3],
    [4, 9],
  ])(
    'an interrupt that comes %i instructions into a loop is taken at %i, one behind STI',
    (n, at) => {
      const g = running(engine, 'again:\n nop; sti; nop; cli; dec ecx; jnz again; hlt');
      expect(ask(g, WARM + n)).toMatchObject({ kind: 'budget', retired: WARM + n });
      g.cpu.setInterruptLine(true);
      expect(ask(g, WARM)).toMatchObject({ kind: 'interrupt', retired: WARM + at });
    },
  );
});
