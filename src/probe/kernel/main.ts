// What the kernel does once it runs: chooses its back end, sets its tables, patches itself, asks, measures, switches off.

import type { GuestBinding } from '../../ops/index.ts';
import type { Probe } from '../define.ts';
import { emitForget, emitTell, type ProbeEmitter } from './answers.ts';
import { BOOT_WAYS } from './entry.ts';
import { emitSay } from './print.ts';
import { TRAP_VECTORS } from './traps.ts';

export const LOG_WORD = 'pvops-probe';
/** The line that ends a log; whoever waits for the kernel waits for this. */
export const END_LINE = `${LOG_WORD} end`;
/** Both interrupt controllers say nothing: the clock's interrupt is all that is heard (8259A datasheet, OCW1). */
const MUTE_PICS = 'mov al, 0xff; out 0x21, al; out 0xa1, al';
/** COM1 sends eight bits, without parity: after a reset it is five (PC16550D datasheet 8.1). */
const EIGHT_BITS = 'mov edx, 0x3fb; mov al, 3; out dx, al';
const SPECIAL = { userGate: 0xee00, gate: 0x8e00 };
const SOFTWARE = [3, 4, 0x80];

/** A probe that may run on the bindings of its mask. */
export interface PlannedProbe {
  readonly probe: Probe;
  readonly mask: number;
}

export function emitMain(
  code: ProbeEmitter,
  bindings: readonly GuestBinding[],
  probes: readonly PlannedProbe[],
): void {
  code.text('kernel.main:; mov {sp}, kernel.stack_top; call kernel.choose; call kernel.set_up');
  code.text(`cmp dword ptr [kernel.pc], 0; je .no_pc; ${MUTE_PICS}; ${EIGHT_BITS}; .no_pc:`);
  code.text('call {word} ptr [ops.init]; mov {ax}, kernel.gdt_record').op('cpu.load_gdt');
  code.op('cpu.load_tr_desc').text('mov {ax}, kernel.idt_record').op('cpu.load_idt');
  code.text('call kernel.patch');
  emitHeader(code, bindings, probes.length);
  code.text('call kernel.probes; call kernel.measures');
  emitSay(code, `${END_LINE}\n`);
  code.text('kernel.off:').op('machine.power_off');
  code.text('.off:').op('irq.irq_disable').op('irq.halt').text('jmp .off');
  emitProbes(code, probes);
  emitSetUp(code);
}

function emitHeader(code: ProbeEmitter, bindings: readonly GuestBinding[], probes: number): void {
  emitSay(code, `\n${LOG_WORD} 1 bits=${code.bits} probes=${probes} boot=`);
  const choice = (variable: string, names: readonly string[]) => {
    const done = code.fresh('named');
    for (const [n, name] of names.entries()) {
      const next = code.fresh('named');
      code.text(`cmp dword ptr [${variable}], ${n}; jne ${next}`);
      emitSay(code, name);
      code.text(`jmp ${done}; ${next}:`);
    }
    code.text(`${done}:`);
  };
  choice('kernel.boot_way', BOOT_WAYS);
  emitSay(code, ' on=');
  choice(
    'kernel.binding',
    bindings.map(({ id }) => id),
  );
  emitSay(code, ' patched=');
  code.text('mov eax, [kernel.patched]; call kernel.put_hex');
  emitSay(code, '\n');
}

function emitProbes(code: ProbeEmitter, probes: readonly PlannedProbe[]): void {
  const functions = probes.map(({ probe }, n) => ({
    label: `probe.${n}`,
    id: probe.id,
    names: code.function(`probe.${n}`, (body) => probe.guest(body)),
  }));
  code.text('kernel.probes:');
  for (const [n, { mask }] of probes.entries()) {
    const { label, id, names } = functions[n]!;
    const next = code.fresh('probe');
    code.text(`mov ecx, [kernel.binding]; mov eax, ${mask}; bt eax, ecx; jae ${next}`);
    emitSay(code, `probe ${id}`);
    emitForget(code);
    code.text(`call ${label}`);
    emitTell(code, names);
    code.text(`${next}:`);
  }
  code.text('ret');
}

/** The tables of hardware, as far as they depend on where things lie and in which ring the kernel is. */
function emitSetUp(code: ProbeEmitter): void {
  const wide = code.bits === 64;
  code.text('kernel.set_up:; mov eax, [kernel.ring]; mov ecx, eax; shl eax, 13');
  code.text('or [kernel.gdt+0x64], eax; or [kernel.gdt+0x6c], eax');
  code.text(
    'mov eax, kernel.tss; mov edx, eax; shl edx, 16; or edx, 0x67; mov [kernel.gdt+0x80], edx',
  );
  code.text(
    'mov edx, eax; shr edx, 16; and edx, 0xff; and eax, 0xff000000; or eax, edx; or eax, 0x8900',
  );
  code.text('mov [kernel.gdt+0x84], eax; mov word ptr [kernel.tss+102], 104');
  if (wide) code.text('mov dword ptr [kernel.gdt+0x88], 0; mov dword ptr [kernel.gdt+0x8c], 0');
  else code.text('mov dword ptr [kernel.tss+8], 0x68; or [kernel.tss+8], ecx');
  code.text(
    'or ecx, 0x60; shl ecx, 16; mov {si}, kernel.trap_table; mov {di}, kernel.idt; xor edx, edx',
  );
  code.text(
    `.gate:; mov eax, [{si}+{dx}*{W}]; test eax, eax; je .no_gate; mov ebx, eax; and ebx, 0xffff; or ebx, ecx`,
  );
  code.text(`mov [{di}], ebx; and eax, 0xffff0000; or eax, ${SPECIAL.gate}`);
  for (const vector of SOFTWARE) {
    const next = code.fresh('gate');
    code.text(`cmp edx, ${vector}; jne ${next}; or eax, ${SPECIAL.userGate}; ${next}:`);
  }
  code.text('mov [{di}+4], eax');
  code.text(
    `.no_gate:; add {di}, ${wide ? 16 : 8}; inc edx; cmp edx, ${TRAP_VECTORS.at(-1)! + 1}; jb .gate; ret`,
  );
}
