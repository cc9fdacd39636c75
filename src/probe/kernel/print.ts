// What the kernel says on its console: strings and numbers, through the interface's own way of printing a byte.

import type { Emitter } from './emitter.ts';

/** `kernel.puts`: {si}, a string. `kernel.put_hex`: {ax}. All registers are kept. */
export function emitPrinting(code: Emitter): void {
  const registers = ['ax', 'cx', 'dx', 'bx', 'si', 'di'];
  const save = registers.map((name) => `push {${name}}`).join('; ');
  const restore = registers
    .toReversed()
    .map((name) => `pop {${name}}`)
    .join('; ');
  code.text(`kernel.puts:; ${save}; cld`);
  code.text('.puts:; mov al, [{si}]; inc {si}; test al, al; je .puts_done');
  code.text(`call {word} ptr [ops.console]; jmp .puts; .puts_done:; ${restore}; ret`);
  code.text(`kernel.put_hex:; ${save}; mov {di}, {ax}; mov ebx, ${code.bits}`);
  // Leading zeros are left out, all but the last.
  code.text('.hex_skip:; cmp ebx, 4; je .hex_digits; mov {ax}, {di}');
  code.text(`shr {ax}, ${code.bits - 4}; jne .hex_digits; shl {di}, 4; sub ebx, 4; jmp .hex_skip`);
  code.text(
    `.hex_digits:; mov {ax}, {di}; shr {ax}, ${code.bits - 4}; add al, 0x30; cmp al, 0x3a; jb .hex_out`,
  );
  code.text(
    'add al, 0x27; .hex_out:; call {word} ptr [ops.console]; shl {di}, 4; sub ebx, 4; jne .hex_digits',
  );
  code.text(`${restore}; ret`);
}

/** Text that stands in the code: printed, and stepped over. Loses {si}. */
export function emitSay(code: Emitter, text: string): void {
  const [string, over] = [code.fresh('string'), code.fresh('over')];
  code.text(`mov {si}, ${string}; call kernel.puts; jmp ${over}; ${string}:`);
  code.string(text).text(`${over}:`);
}
