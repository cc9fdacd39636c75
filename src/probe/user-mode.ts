// Ring 3 in probes: some instructions there, and back in the kernel by whatever the last of them raises.

import type { ProbeCode } from './define.ts';

/** Selectors of ring 3, and flags that the processor has always set. */
const [CODE, DATA] = [0x73, 0x7b];
export const USER_FLAGS = 2;

/** Every register but SP is lost. `flags`: a number, or a register that is neither AX nor CX. */
export function inUserMode(
  a: ProbeCode,
  instructions: string,
  flags: string | number = USER_FLAGS,
): void {
  const [user, back] = [a.fresh('user'), a.fresh('user')];
  a.text('mov {ax}, page.e; add {ax}, 4096').op('cpu.load_sp0');
  a.text(`mov {word} ptr [kernel.escape], ${back}; mov [kernel.recover_sp], {sp}`);
  a.text(`push ${DATA}; mov {ax}, page.d; add {ax}, 4096; push {ax}; push ${flags}; push ${CODE}`);
  a.text(`push ${user}; jmp {word} ptr [ops.cpu.iret]; ${user}:; ${instructions}; ${back}:`);
  a.text('mov eax, ss; mov ds, ax; mov es, ax');
}
