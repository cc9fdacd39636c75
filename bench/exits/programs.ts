// Small guests for bench:exits: each does one thing for ever, and counts its rounds in a register.

import { Assembler } from '../../src/cpu/asm.ts';
import type { Cpu, EngineName } from '../../src/cpu/core.ts';
import { guest, launchLguest } from '../../src/hypervisors/lguest/testing/lguest-guest.ts';
import {
  DIRECTORY,
  PAGE_OFFSET,
  SPARE_AT,
  vmiKernel,
} from '../../src/hypervisors/vmi/testing/kernel.ts';
import { programGuest, SEED } from '../../src/hypervisors/xen-pv/testing/pv-guest.ts';
import { assemble } from '../../src/lab/assemble.ts';
import { findInterface, machineOf, NO_FITTINGS, openKernel } from '../../src/lab/index.ts';
import { LOAD_AT, tinyElf } from '../../src/lab/testing/tiny-kernel.ts';
import type { Machine } from '../../src/machine/machine.ts';

/** A guest that is at its loop, or on the way to it. */
export interface Looping {
  readonly machine: Machine;
  readonly cpu: Cpu;
  /** The register that counts rounds. */
  readonly counter: number;
}

const EBP = 5;
const EDI = 7;
const R12 = 12;
const MEMORY = 32 << 20;
const [IDT_AT, ARG] = [0x20_0000, 0x20_1000];
/** The page that the guest finds shared_info in. */
const SHARED_AT = 0x20_2000;
const VECTOR = 0x40;

/** 32-bit code without paging, started by the PVH entry on the machine that the interface has. */
function flat(on: string, engine: EngineName, text: string): Looping {
  const choice = findInterface(on);
  const shape = { on: choice, fittings: NO_FITTINGS };
  const a = new Assembler(32, LOAD_AT);
  for (const line of text.split(/[\n;]/)) if (line.trim()) a.text(line.trim());
  const { cpu, machine, attached } = assemble({
    choice,
    ...machineOf(shape),
    memoryBytes: MEMORY,
    engine,
    time: 'virtual',
    epochSeconds: 1_700_000_000,
    seed: 0,
    transmit: () => {},
    attend: () => false,
  });
  const kernel = openKernel(tinyElf([...a.finish()]), 'bench');
  attached.start({ kernel, initrd: null, commandLine: '', boot: 'pvh' });
  return { machine, cpu, counter: EBP };
}

/** A table of segments as the start has them, one gate, a stack, and interrupts on; the handler begins at `handler`. */
const INTERRUPTS = `
  mov esp, ${IDT_AT + 0xff0}
  mov dword ptr [${ARG + 0x110}], 0xffff; mov dword ptr [${ARG + 0x114}], 0xcf9b00
  mov dword ptr [${ARG + 0x118}], 0xffff; mov dword ptr [${ARG + 0x11c}], 0xcf9300
  mov word ptr [${ARG}], 0x1f; mov dword ptr [${ARG + 2}], ${ARG + 0x100}
  lgdt [${ARG}]
  mov eax, 0x18; mov ss, ax; mov ds, ax; mov es, ax
  lea eax, [handler]
  mov word ptr [${IDT_AT + VECTOR * 8}], ax; mov word ptr [${IDT_AT + VECTOR * 8 + 2}], 0x10
  mov word ptr [${IDT_AT + VECTOR * 8 + 4}], 0x8e00; shr eax, 16; mov word ptr [${IDT_AT + VECTOR * 8 + 6}], ax
  mov word ptr [${ARG}], ${VECTOR * 8 + 7}; mov dword ptr [${ARG + 2}], ${IDT_AT}
  lidt [${ARG}]
`;

const loop = (body: string) => `mov ebp, 0\nagain:\n${body}\ninc ebp\njmp again`;
/** Its handler counts. */
const eventLoop = (body: string) => `mov ebp, 0\nagain:\n${body}\njmp again`;

/** A port that nothing answers at. */
export const portRead = (engine: EngineName): Looping =>
  flat('native', engine, loop('in al, 0x80'));

const EOI = 0xfee0_00b0;
const ICR = 0xfee0_0300;
const SVR = 0xfee0_00f0;

/** An interrupt to itself through the local APIC, and the end of it. */
const selfInterrupt = (on: string) => (engine: EngineName) =>
  flat(
    on,
    engine,
    `${INTERRUPTS}
     mov dword ptr [${SVR}], 0x1ff
     sti
     ${eventLoop(`mov dword ptr [${ICR}], ${0x4_4000 | VECTOR}`)}
     handler:
     mov dword ptr [${EOI}], 0
     inc ebp
     iretd`,
  );

const HVM_OP = 34;
const EVENT_CHANNEL_OP = 32;
const MEMORY_OP = 12;
const words = (...values: number[]) =>
  values.map((value, n) => `mov dword ptr [${ARG + n * 4}], ${value}`).join('; ');
const vmcall = (number: number, first: number) =>
  `mov eax, ${number}; mov ebx, ${first}; mov ecx, ${ARG}; vmcall`;

/** A guest of Xen in a container sends to a port of its own, hears of it by the callback vector, and clears it. */
const pvhEvent = (engine: EngineName) =>
  flat(
    'xen-pvh',
    engine,
    `${INTERRUPTS}
     ${words(0x7ff0, 0, 0, SHARED_AT >>> 12)}; ${vmcall(MEMORY_OP, 7)}
     ${words(0x7ff0, 0, VECTOR, 2 << 24)}; ${vmcall(HVM_OP, 0)}
     ${words(0, 0)}; ${vmcall(EVENT_CHANNEL_OP, 7)}
     mov eax, dword ptr [${ARG + 4}]; mov dword ptr [${ARG}], eax
     sti
     ${eventLoop(vmcall(EVENT_CHANNEL_OP, 4))}
     handler:
     inc ebp
     mov byte ptr [${SHARED_AT}], 0
     mov dword ptr [${SHARED_AT + 4}], 0
     mov dword ptr [${SHARED_AT + 2048}], 0
     iretd`,
  );

const pv = (program: Parameters<typeof programGuest>[0]) => (engine: EngineName) => {
  const { cpu, machine } = programGuest(program, { engine, seed: SEED });
  return { cpu, machine, counter: R12 };
};
const pvLoop = (body: string) => `mov r12d, 0\nagain:\n${body}\ninc r12\njmp again`;

const [VMASST_CMD_enable, VMASST_TYPE_writable_pagetables] = [0, 2];
/** The initial tables are in order: top, two more, then the L1 tables; the second of these maps the free pages. */
const pvTableWrite = pv((p) => {
  const entry = (4 << 12) + 5 * 8;
  return `
    ${p.call('vm_assist', VMASST_CMD_enable, VMASST_TYPE_writable_pagetables)}
    mov rbx, [r14 + 88]; add rbx, ${entry}; mov rax, [rbx]
    ${pvLoop('xor rax, 0x200; mov [rbx], rax')}`;
});

const SHARED = 8;
const UPDATE_VA_MAPPING = 14;
const pvEvent = pv(
  (p) => `
    mov rsi, [r14 + 40]; or rsi, 3; mov rdi, ${p.page(SHARED)}; mov edx, 2; mov eax, ${UPDATE_VA_MAPPING}; syscall
    lea rax, [upcall]; mov rbx, ${p.page(0)}; mov qword ptr [rbx], 0; mov [rbx + 8], rax
    ${p.call('callback_op', 0, p.page(0))}
    ${p.store(p.page(1), 0)}
    ${p.call('event_channel_op', 7, p.page(1))}
    mov rbx, ${p.page(1)}; mov eax, [rbx + 4]; mov [rbx], eax
    mov rbp, ${p.page(SHARED)}; mov qword ptr [rbp + 2560], 0; mov byte ptr [rbp + 1], 0
    mov r12d, 0
    again:
    mov edi, 4; mov rsi, ${p.page(1)}; mov eax, ${EVENT_CHANNEL_OP}; syscall; jmp again
    upcall:
    inc r12
    mov byte ptr [rbp], 0; mov qword ptr [rbp + 8], 0; mov qword ptr [rbp + 2048], 0
    pop rcx; pop r11
    push 0; push rcx; push r11; push rax; mov eax, 23; syscall`,
);

const lguest = (program: string) => (engine: EngineName) => ({
  ...launchLguest(`${guest.init}; mov edi, 0; ${program}`, { engine, unseen: true }),
  counter: EDI,
});
const TIMER = 32;
/** The clock event of a nanosecond ahead, which the next call finds due. */
const lguestEvent = lguest(`
  ${guest.gate(TIMER, 'tick')}; ${guest.store(guest.field('blocked_interrupts'), 0)}
  again: ${guest.call('SET_CLOCKEVENT', 1)}
  ${guest.store(guest.field('irq_enabled'), 0x200)}; ${guest.call('SEND_INTERRUPTS')}; jmp again
  tick: inc edi; iretd`);

const onVmi =
  (text: string, traps: Readonly<Record<number, string>> = {}) =>
  (engine: EngineName) => {
    const { platform, machine } = vmiKernel(text, { engine, traps });
    return { cpu: platform.cpu, machine, counter: EBP };
  };
const apicWrite = (register: number, value: number) =>
  `mov eax, ${register}\nmov edx, ${value}\ncall {APICWrite}`;
/** Entry 1 of a page table of the current address space. */
const vmiTableWrite = onVmi(`
  mov dword ptr [${PAGE_OFFSET + DIRECTORY + 0x100}], ${SPARE_AT + 0x67}
  ${loop(`mov eax, 0x400067\nmov edx, ${PAGE_OFFSET + SPARE_AT + 4}\nmov ecx, 0x10001011\ncall {SetPxE}`)}`);
const vmiEvent = onVmi(
  `${apicWrite(SVR & 0xfff, 0x1ff)}
  sti
  ${eventLoop(apicWrite(ICR & 0xfff, 0x4_4000 | VECTOR))}
  own:
  inc ebp
  ${apicWrite(EOI & 0xfff, 0)}
  iretd`,
  { [VECTOR]: 'own' },
);

/** What is measured on each interface; null: there is no such thing there, the processor does it by itself. */
export const PROGRAMS: Readonly<
  Record<
    string,
    Readonly<Record<'call' | 'table' | 'event', ((engine: EngineName) => Looping) | null>>
  >
> = {
  native: { call: null, table: null, event: selfInterrupt('native') },
  // KVM_HC_VAPIC_POLL_IRQ does nothing and answers 0.
  kvm: {
    call: (engine) => flat('kvm', engine, loop('mov eax, 1; vmcall')),
    table: null,
    event: selfInterrupt('kvm'),
  },
  'xen-pv': {
    // XENVER_version.
    call: pv(() => pvLoop('mov edi, 0; mov esi, 0; mov eax, 17; syscall')),
    table: pvTableWrite,
    event: pvEvent,
  },
  'xen-pvh': {
    call: (engine) => flat('xen-pvh', engine, loop('mov ebx, 0; mov ecx, 0; mov eax, 17; vmcall')),
    table: null,
    event: pvhEvent,
  },
  lguest: {
    // A call that only has the asynchronous ring looked at.
    call: lguest(`again: ${guest.call('FLUSH_ASYNC')}; inc edi; jmp again`),
    table: null,
    event: lguestEvent,
  },
  vmi: { call: onVmi(loop('call {WallclockUpdated}')), table: vmiTableWrite, event: vmiEvent },
};
