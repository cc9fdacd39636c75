// The fault catcher: a stub for each vector, one handler behind them, and where the guest goes on.

import type { GuestBinding } from '../../ops/index.ts';
import type { Emitter } from './emitter.ts';
import { emitSay } from './print.ts';

/** Vectors whose frames have an error code (SDM 3A 6.3.1). */
const WITH_ERROR = [8, 10, 11, 12, 13, 14, 17, 21, 29, 30];
/** INT3, INTO and the system call return to where they came from. */
export const SOFTWARE_VECTORS = [3, 4, 0x80];
export const TRAP_VECTORS = [...Array.from({ length: 0x30 }, (_, n) => n), 0x80];
/** `trap.vector` while nothing has been trapped. */
export const NO_FAULT = 0x100;
const PF = 14;

/** Stubs behind one way of entering a handler; `label(n)` names them. */
export function emitTrapStubs(code: Emitter, binding: GuestBinding): void {
  for (const vector of TRAP_VECTORS) {
    code.text(`${trapStub(binding.id, vector)}:`);
    binding.operations['irq.adjust_exception_frame']?.emit(code);
    if (!WITH_ERROR.includes(vector)) code.text('push 0');
    code.text(`push ${vector}; jmp kernel.trap`);
  }
}

export const trapStub = (id: string, vector: number): string =>
  `trap_stub.${id.replaceAll('-', '_')}.${vector}`;

/** `kernel.trap`, with the vector and the error code on the stack over IP, CS and flags. */
export function emitTrapHandler(code: Emitter): void {
  const { word: w, bits } = code;
  const extra = bits === 64 ? ['r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'] : [];
  const registers = ['ax', 'cx', 'dx', 'bx', 'bp', 'si', 'di'].map((r) => `{${r}}`).concat(extra);
  const at = (n: number) => `[{bp}+${(registers.length + n) * w}]`;
  code.text(`kernel.trap:; ${registers.map((r) => `push ${r}`).join('; ')}; mov {bp}, {sp}; cld`);
  // From ring 3 the data segments come empty, where they mean something.
  if (bits === 32) code.text('mov edx, ss; mov ds, dx; mov es, dx');
  code.text(`mov eax, ${at(0)}; cmp eax, [kernel.clock_vector]; jne .trap_record`);
  code.text('inc dword ptr [kernel.ticks]; call {word} ptr [ops.acknowledge]; jmp .trap_out');
  code.text(
    `.trap_record:; inc dword ptr [trap.count]; mov [trap.vector], eax; mov {dx}, ${at(1)}; mov [trap.error], {dx}`,
  );
  for (const [n, name] of ['ip', 'cs', 'flags'].entries())
    code.text(`mov {dx}, ${at(2 + n)}; mov [trap.${name}], {dx}`);
  // Where nobody waits for it, a software interrupt returns at once: what it costs is measured.
  code.text('mov {dx}, [kernel.escape]; or {dx}, [kernel.recover]; jne .trap_expected');
  for (const vector of SOFTWARE_VECTORS) code.text(`cmp eax, ${vector}; je .trap_out`);
  code
    .text(`.trap_expected:; cmp eax, ${PF}; jne .trap_search`)
    .op('mmu.read_cr2')
    .text('mov [trap.address], {ax}');
  code.text(`.trap_search:; mov {cx}, ${at(2)}; mov {si}, kernel.catches`);
  code.text('.trap_next:; mov edx, [{si}]; test edx, edx; je .trap_hook; add {si}, 8');
  code.text(`cmp {cx}, {dx}; jne .trap_next; mov ecx, [{si}-4]; mov ${at(2)}, {cx}; jmp .trap_out`);
  code.text('.trap_hook:; mov {dx}, [kernel.escape]; test {dx}, {dx}; je .trap_recover');
  code.text(
    'mov {word} ptr [kernel.escape], 0; mov [trap.frame], {bp}; mov {sp}, [kernel.recover_sp]; jmp {dx}',
  );
  code.text('.trap_recover:; mov {dx}, [kernel.recover]; test {dx}, {dx}; je kernel.died');
  code.text(`mov {word} ptr [kernel.recover], 0; mov ${at(2)}, {dx}`);
  code.text(
    `.trap_out:; ${registers
      .toReversed()
      .map((r) => `pop ${r}`)
      .join('; ')}`,
  );
  code.text(`add {sp}, ${2 * w}; jmp {word} ptr [ops.cpu.iret]`);
  emitLastWords(code);
}

/** Nobody has expected the trap. */
function emitLastWords(code: Emitter): void {
  code.text('kernel.died:; mov {sp}, kernel.stack_top');
  emitSay(code, '\npvops-probe fault');
  for (const name of ['vector', 'error', 'ip', 'cs', 'flags', 'address']) {
    emitSay(code, ` ${name}=`);
    code.text(`mov {ax}, [trap.${name}]; call kernel.put_hex`);
  }
  emitSay(code, '\n');
  code.text('jmp kernel.off');
}
