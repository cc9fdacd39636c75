// Exceptions, system calls, events and returns of 32-bit guests: ring 1 and ring 3 as the processor has them, frames as Xen.

import { expect, it } from 'vitest';
import { EVTCHNOP_bind_virq } from '../xen/abi/event-channel.ts';
import { SCHEDOP_block } from '../xen/abi/sched.ts';
import { VCPUOP_set_singleshot_timer } from '../xen/abi/vcpu.ts';
import * as abi from './abi.ts';
import { type Program32Options, type Program32Parts, runProgram32 } from './testing/pv32-guest.ts';
import {
  callback,
  IF,
  KERNEL_STACK,
  OPEN,
  openToUser,
  SHARED,
  sharedInfo,
  toUser,
  traps,
  USER_STACK,
} from './testing/pv32-steps.ts';

const { FLAT_RING1_CS: CS1, FLAT_RING1_DS: DS1, FLAT_RING3_CS: CS3, FLAT_RING3_SS: SS3 } = abi;
const MASK = 1 << 16;
const PF = 14;
const GP = 13;
const NM = 7;
const UD = 6;
/** Keeps the words of a frame, from the top of the stack. */
const frame = (p: Program32Parts, count: number) =>
  Array.from({ length: count }, (_, n) => `mov eax, [esp + ${n * 4}]; ${p.keep('eax')}`).join('\n');
const keep = (p: Program32Parts, ...labels: readonly string[]) =>
  labels.map((label) => `mov eax, ${label}; ${p.keep('eax')}`).join('\n');

function run(program: (p: Program32Parts) => string, options: Program32Options = {}): number[] {
  const { results, why } = runProgram32((p) => `${program(p)}\n${p.done}`, {
    budget: 100_000,
    ...options,
  });
  expect(why).toContain('poweroff');
  return results;
}

it.each(['reference', 'interpreter'] as const)(
  'a page fault of the kernel has its error code, the old mask beside CS, and its address in vcpu_info (%s)',
  (engine) => {
    const all = run(
      (p) =>
        [
          traps(p, [PF, 'handler', 4]),
          sharedInfo(p),
          `mov esi, esp; at:; mov [0x5008], eax; ${p.done}`,
          'handler:',
          `lea ecx, [esp + 16]; sub ecx, esi; ${p.keep('ecx')}`,
          frame(p, 4),
          keep(p, 'at'),
          `mov eax, [${p.page(SHARED) + 8}]; ${p.keep('eax')}; mov ax, ss; movzx eax, ax; ${p.keep('eax')}`,
        ].join('\n'),
      { engine },
    );
    const [set, grown, error, eip, cs, eflags, at, cr2, ss] = all as number[];
    expect([set, grown, error, cs, cr2, ss]).toEqual([0, 0, 2, CS1 | MASK, 0x5008, DS1]);
    // Events are masked at the start, so IF is told as 0.
    expect([eip, eflags! & IF]).toEqual([at, 0]);
  },
);

it('INT n goes where the table says if its entry is for ring 1, and is #GP with its vector if not', () => {
  const all = run((p) =>
    [
      traps(p, [0x40, 'first', 1], [0x41, 'first', 0], [GP, 'refused']),
      'int 0x40; behind:; int 0x41',
      p.done,
      'first:',
      frame(p, 2),
      keep(p, 'behind'),
      'iretd',
      'refused:',
      frame(p, 1),
    ].join('\n'),
  );
  expect(all.slice(2)).toEqual([CS1 | MASK, all[1], (0x41 << 3) | 2]);
});

it('a program runs in ring 3 and comes back by INT 0x80 on the stack that stack_switch has named', () => {
  const all = run((p) =>
    [
      openToUser(p),
      // Of this vector alone the entry's privilege is not asked for.
      traps(p, [0x80, 'entry', 0]),
      toUser(p, 'user'),
      'user:',
      'mov ecx, cs; int 0x80; back:; nop',
      'entry:',
      p.keep('ecx'),
      frame(p, 5),
      keep(p, 'back'),
      `mov eax, esp; and eax, 0xfff; ${p.keep('eax')}; mov eax, cs; ${p.keep('eax')}`,
      // Data segments of the kernel were taken away on the way out.
      `mov eax, ds; ${p.keep('eax')}; mov eax, ${DS1}; mov ds, ax; mov es, ax`,
    ].join('\n'),
  );
  const [cs, eip, frameCs, eflags, esp, ss, back, sp, now, ds] = all.slice(5) as number[];
  expect(all.slice(0, 5)).toEqual([...OPEN, 0]);
  expect([cs, eip, frameCs, ss]).toEqual([CS3, back, CS3 | MASK, SS3]);
  expect([eflags! & IF, esp! & 0xfff, sp, now, ds]).toEqual([0, 0x800, 0x800 - 20, CS1, 0]);
});

it('a program can neither call Xen, nor read its table, nor pages of the kernel', () => {
  const all = run((p) =>
    [
      openToUser(p),
      traps(p, [GP, 'gp'], [PF, 'pf']),
      `mov edi, 0; ${toUser(p, 'user')}`,
      'user:; int 0x82',
      'gp:',
      `mov eax, ${DS1}; mov ds, ax`,
      frame(p, 1),
      toUser(p, 'second'),
      'second:; mov eax, 0xf5800000; mov eax, cs:[eax]',
      'pf:',
      `mov eax, ${DS1}; mov ds, ax`,
      frame(p, 1),
      'inc edi; cmp edi, 1; jne over',
      toUser(p, 'third'),
      `third:; mov eax, ${p.page(0)}; mov eax, cs:[eax]`,
      'over:',
    ].join('\n'),
  );
  expect(all.slice(5)).toEqual([(0x82 << 3) | 2, 5, 5]);
});

it('without an entry for it SYSCALL is #GP; with one the frame names the flat segments; SYSENTER is #UD', () => {
  const all = run((p) =>
    [
      openToUser(p),
      traps(p, [GP, 'gp'], [UD, 'ud']),
      toUser(p, 'user'),
      'user:; syscall; behind:; nop',
      'gp:',
      `mov eax, ${DS1}; mov ds, ax`,
      frame(p, 1),
      callback(p, abi.CALLBACKTYPE_syscall32, 'system'),
      toUser(p, 'user'),
      'system:',
      `mov eax, ${DS1}; mov ds, ax; ${p.keep('ecx')}`,
      frame(p, 5),
      keep(p, 'behind'),
      toUser(p, 'third'),
      'third:; sysenter',
      'ud:',
      `mov eax, ${DS1}; mov ds, ax; ${p.keep('eax')}`,
    ].join('\n'),
  );
  const [error, registered, ecx, eip, cs, , , ss, behind, last] = all.slice(5) as number[];
  expect([error, registered, cs, ss, last]).toEqual([0, 0, CS3 | MASK, SS3, DS1]);
  expect([ecx, eip]).toEqual([behind, behind]);
});

it('the iret call returns to ring 1 with the mask that IF tells, and to ring 3 with its stack', () => {
  const all = run((p) =>
    [
      sharedInfo(p),
      openToUser(p),
      traps(p, [0x80, 'entry', 3]),
      `mov esi, esp; push ${IF}; push ${CS1}; mov eax, first; push eax; push 0x77; mov eax, 23; int 0x82`,
      'first:',
      p.keep('eax'),
      `sub esi, esp; ${p.keep('esi')}; movzx eax, byte ptr [${p.page(SHARED) + 1}]; ${p.keep('eax')}`,
      `push ${SS3}; mov eax, ${p.page(USER_STACK) + 0x400}; push eax; push 0; push ${CS3}; mov eax, user; push eax; push 0x66; mov eax, 23; int 0x82`,
      'user:; mov ecx, eax; int 0x80',
      'entry:',
      `mov eax, ${DS1}; mov ds, ax; ${p.keep('ecx')}`,
      frame(p, 5),
      `movzx eax, byte ptr [${p.page(SHARED) + 1}]; ${p.keep('eax')}`,
    ].join('\n'),
  );
  const [eax, grown, mask, value, , cs, , esp, ss, after] = all.slice(5) as number[];
  expect([eax, grown, mask, value, cs, ss, after]).toEqual([0x77, 0, 0, 0x66, CS3 | MASK, SS3, 1]);
  expect(esp! & 0xfff).toBe(0x400);
});

it('a return to a segment that is not there comes by the failsafe callback, with the data segments', () => {
  const all = run((p) =>
    [
      callback(p, abi.CALLBACKTYPE_failsafe, 'failsafe'),
      `push 0; push 0x71; push 0x1234; push 0; mov eax, 23; int 0x82`,
      'failsafe:',
      frame(p, 7),
    ].join('\n'),
  );
  const [set, ds, es, fs, gs, eip, cs] = all as number[];
  expect([set, ds, es, fs, gs, eip, cs]).toEqual([0, DS1, DS1, DS1, DS1, 0x1234, 0x71 | MASK]);
});

it('there is no virtual-8086 mode: the frame is moved to the stack for entries, under #GP', () => {
  const all = run((p) =>
    [
      p.call('stack_switch', DS1, p.page(KERNEL_STACK) + 0x800),
      traps(p, [GP, 'gp', 4]),
      'push 9; push 8; push 7; push 6; push 5; push 4; push 0x20202; push 3; push 2; push 1; mov eax, 23; int 0x82',
      'gp:',
      frame(p, 10),
      `mov eax, esp; and eax, 0xfff; ${p.keep('eax')}`,
    ].join('\n'),
  );
  expect(all.slice(2)).toEqual([0, 2, 3, 0x20202, 4, 5, 6, 7, 8, 9, 0x800 - 40]);
});

it('an event enters by its callback and masks; a wait in a call ends with it', () => {
  const all = run((p) =>
    [
      sharedInfo(p),
      callback(p, abi.CALLBACKTYPE_event, 'upcall'),
      p.store(p.page(2), 0, 0),
      p.call('event_channel_op', EVTCHNOP_bind_virq, p.page(2)),
      // Its mask bit, among those from 2176 on.
      `mov ecx, [${p.page(2) + 8}]; btr dword ptr [${p.page(SHARED) + 2176}], ecx`,
      `mov eax, [${p.page(SHARED) + 48}]; add eax, 1000000; mov [${p.page(3)}], eax`,
      p.store(p.page(3) + 4, 0, 0),
      p.call('vcpu_op', VCPUOP_set_singleshot_timer, 0, p.page(3)),
      `mov ebx, ${SCHEDOP_block}; mov eax, 29; int 0x82; here:`,
      p.done,
      'upcall:',
      keep(p, 'here'),
      frame(p, 3),
      `movzx eax, word ptr [${p.page(SHARED)}]; ${p.keep('eax')}`,
      `mov ecx, [${p.page(2) + 8}]; mov eax, [${p.page(SHARED) + 2048}]; shr eax, cl; ${p.keep('eax')}`,
      `mov eax, [${p.page(SHARED) + 4}]; ${p.keep('eax')}`,
    ].join('\n'),
  );
  // Pending and mask are beside each other; one port of the first word is pending.
  expect(all.slice(0, 3)).toEqual([0, 0, 0]);
  const [here, eip, cs, eflags, both, pending, selector] = all.slice(3) as number[];
  expect([cs, eflags! & IF, both, pending, selector]).toEqual([CS1, IF, 0x101, 1, 1]);
  expect(eip).toBe(here);
});

it('timers interrupt a program in ring 3 at the same instructions on each engine', () => {
  const rounds = 20;
  const timer = (p: Program32Parts) =>
    `add dword ptr [${p.page(3)}], 20000; ${p.call('vcpu_op', VCPUOP_set_singleshot_timer, 0, p.page(3))}`;
  const program = (p: Program32Parts) =>
    [
      sharedInfo(p),
      openToUser(p),
      callback(p, abi.CALLBACKTYPE_event, 'upcall'),
      p.store(p.page(2), 0, 0),
      p.call('event_channel_op', EVTCHNOP_bind_virq, p.page(2)),
      `mov ecx, [${p.page(2) + 8}]; btr dword ptr [${p.page(SHARED) + 2176}], ecx`,
      p.store(p.page(3), 0, 0, 0),
      p.store(p.page(4), 0),
      timer(p),
      `mov byte ptr [${p.page(SHARED) + 1}], 0`,
      `xor edi, edi; ${toUser(p, 'user')}`,
      'user:; inc edi; jmp user',
      'upcall:',
      `mov eax, ${DS1}; mov ds, ax; ${p.keep('edi')}`,
      `mov dword ptr [${p.page(SHARED) + 2048}], 0; mov dword ptr [${p.page(SHARED) + 4}], 0; mov byte ptr [${p.page(SHARED)}], 0`,
      `inc dword ptr [${p.page(4)}]; cmp dword ptr [${p.page(4)}], ${rounds}; je last`,
      timer(p),
      // The upper half of the frame's CS is nothing to the instruction.
      `mov byte ptr [${p.page(SHARED) + 1}], 0; iretd`,
      'last:',
    ].join('\n');
  const all = (['interpreter', 'jit'] as const).map((engine) =>
    run(program, { engine, budget: 1_000_000 }),
  );
  expect(all[0]).toEqual(all[1]);
  const counts = all[0]!.slice(7).filter((n) => n > 1000);
  expect(counts).toHaveLength(rounds);
  // 20000 instructions a round, half of them the loop's INC.
  expect(counts.at(-1)).toBeGreaterThan(rounds * 9900);
});

it('CPUID shows no long mode, behind the prefix too; EFER, CR3 and MSRs are those of a 32-bit guest', () => {
  const all = run((p) =>
    [
      traps(p, [GP, 'gp']),
      'mov eax, 0x80000001; bytes 0f 0b 78 65 6e 0f a2',
      `shr edx, 29; and edx, 1; ${p.keep('edx')}; mov eax, 0x80000001; cpuid; shr edx, 29; and edx, 1; ${p.keep('edx')}`,
      `mov eax, 0x40000000; bytes 0f 0b 78 65 6e 0f a2; ${p.keep('ebx')}`,
      `mov ecx, 0xc0000080; rdmsr; and eax, 0x500; ${p.keep('eax')}`,
      `mov eax, cr3; mov cr3, eax; mov ecx, cr3; sub eax, ecx; ${p.keep('eax')}`,
      `mov eax, cr0; and eax, 8; ${p.keep('eax')}; cli; sti; wbinvd`,
      'mov ecx, 0xc0000100; rdmsr',
      'gp:',
      frame(p, 1),
    ].join('\n'),
  );
  expect(all).toEqual([0, 0, 0, 0x566e6558, 0, 0, 0, 0]);
});

it('TS makes the next floating-point instruction #NM; IOPL lets the kernel try ports', () => {
  const all = run((p) =>
    [
      traps(p, [NM, 'nm'], [GP, 'gp']),
      p.call('fpu_taskswitch', 1),
      'at:; fninit',
      p.store(p.page(2), 1),
      p.call('physdev_op', 6, p.page(2)),
      `xor eax, eax; in al, 0x71; ${p.keep('eax')}; out 0x70, al`,
      p.store(p.page(2), 0),
      p.call('physdev_op', 6, p.page(2)),
      'in al, 0x71',
      p.done,
      'nm:',
      `mov eax, [esp]; sub eax, at; ${p.keep('eax')}; iretd`,
      'gp:',
      frame(p, 1),
    ].join('\n'),
  );
  expect(all).toEqual([0, 0, 0, 0, 0xff, 0, 0]);
});

it.each([
  ['a handler that is not there', () => 'ud2', 'it has no handler'],
  [
    'a stack that is not there',
    (p: Program32Parts) => `${traps(p, [UD, 'ud'])}; xor esp, esp; ud2; ud:; ${p.done}`,
    'cannot be written',
  ],
  ['an iret to ring 0', () => 'push 0; push 8; push 0; push 0; mov eax, 23; int 0x82', 'ring 0'],
  ['an iret without a frame', () => 'xor esp, esp; mov eax, 23; int 0x82', 'cannot be read'],
  [
    'events without a callback',
    (p: Program32Parts) => `${p.call('vcpu_op', 11, 0, 0)}; ${p.done}`,
    'it has no handler',
  ],
])('%s ends the domain in a sentence', (_what, program, why) => {
  const run = runProgram32(program);
  expect([run.stop, run.why]).toEqual(['ended', expect.stringContaining(why)]);
});
