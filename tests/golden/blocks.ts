// The golden blocks: code, and the states that make each of them interesting.

import { writeStatusFlags } from '../../src/cpu/reference/flags.ts';
import { SEG_LIMIT } from '../../src/cpu/state.ts';
import { type Machine, writeRam } from '../../src/cpu/testing/machine.ts';
import type { Random } from '../../src/cpu/testing/random.ts';
import { RAM_BYTES, type Setup, WORLD } from '../../src/cpu/testing/world.ts';

export interface GoldenBlock {
  /** Also the name of the file with its text. */
  readonly name: string;
  readonly setup?: Setup;
  /** Intel syntax; the first block of it is the one whose text is kept, unless `blocks` says how many. */
  readonly code: string;
  readonly blocks?: number;
  /** Registers that point at memory: each is led astray in turn. */
  readonly pointers: readonly string[];
  /** It runs round and round: any budget makes sense. */
  readonly loops?: boolean;
  readonly prepare?: (m: Machine, random: Random) => void;
}

const RAX = 0;
const RCX = 1;
const RDX = 2;
const RBX = 3;
const SEG_ES = 0;
const SEG_DS = 3;
const SUBROUTINE = WORLD.code.at + 0x80;
const FCW_MASKS = 0x3f;

export const GOLDEN: readonly GoldenBlock[] = [
  {
    name: 'worked-example', // Quoted by docs/jit.md.
    code: `
      back:
      add ecx, ecx
      sub eax, dword ptr [rbx+8]
      jb back`,
    pointers: ['rbx'],
  },
  {
    name: 'x87',
    code: `
      fld qword ptr [rbx]
      lea rdx, [rbx+rax*4+8]
      fadd dword ptr [rsi]
      add rdx, rcx
      fmul st0, st1
      fstp qword ptr [rdi]`,
    pointers: ['rbx', 'rsi', 'rdi'],
    prepare(m, random) {
      if (random.chance(30)) m.state.set('fcw', 0x340 | random.below(FCW_MASKS + 1));
    },
  },
  {
    name: 'locked-rmw',
    code: `
      lock add dword ptr [rbx], eax
      lock xadd qword ptr [rsi], rcx
      lock inc byte ptr [rdi]
      xchg word ptr [rbx+32], dx`,
    pointers: ['rbx', 'rsi', 'rdi'],
  },
  {
    name: 'rep-movs',
    code: `
      mov rdx, rdi
      sub rdx, rsi
      rep movsd`,
    pointers: ['rsi', 'rdi'],
    loops: true,
    prepare(m, random) {
      m.state.setGpr(RCX, BigInt(random.below(24)));
      if (random.chance(30)) m.state.setGpr(7, m.state.gpr(6) + BigInt(random.below(20) - 10));
    },
  },
  {
    name: 'pushes',
    code: `
      add rax, rcx
      push rax
      push rbx
      push rcx
      lea rbx, [rsp+8]`,
    pointers: ['rsp'],
  },
  {
    name: 'split-store',
    code: `
      mov dword ptr [rbx+1], eax
      add eax, ecx
      mov qword ptr [rsi], rax
      mov word ptr [rsi+rcx*2-1], dx`,
    pointers: ['rbx', 'rsi'],
    prepare: (m, random) => m.state.setGpr(RCX, BigInt(random.below(16))),
  },
  {
    name: 'sse-memory',
    code: `
      movdqu xmm1, xmmword ptr [rbx]
      pxor xmm1, xmm2
      paddb xmm1, xmmword ptr [rsi]
      movdqu xmmword ptr [rdi], xmm1
      movd eax, xmm1`,
    pointers: ['rbx', 'rsi', 'rdi'],
  },
  {
    name: 'flags-two-blocks-later',
    code: `
      cmp rax, rcx
      jmp one
      one:
      mov rdx, qword ptr [rbx]
      jmp two
      two:
      setb dl
      cmovle rsi, rax
      ja three
      inc rsi
      three:
      adc rdx, 0
      jmp short_of_it
      short_of_it:
      nop`,
    blocks: 3,
    pointers: ['rbx'],
    prepare(m, random) {
      if (random.chance(50)) m.state.setGpr(RAX, m.state.gpr(RCX) + BigInt(random.below(3)));
    },
  },
  {
    name: 'indirect-call',
    code: `
      sub rdx, 1
      call qword ptr [rbx+rdx*8+8]`,
    pointers: ['rbx', 'rsp'],
    prepare(m, random) {
      m.state.setGpr(RDX, 1n);
      const at = Number(BigInt.asUintN(20, m.state.gpr(RBX) + 8n));
      const target = random.chance(15) ? 0x8000_0000_0000n : BigInt(SUBROUTINE);
      const bytes = Array.from({ length: 8 }, (_, n) => Number((target >> BigInt(8 * n)) & 0xffn));
      if (at + bytes.length <= RAM_BYTES) writeRam(m, at, bytes);
    },
  },
  {
    name: 'cmpxchg16b',
    code: `
      xor rcx, rbx
      lock cmpxchg16b xmmword ptr [rsi]
      sete r8b`,
    pointers: ['rsi'],
    prepare(m, random) {
      if (random.chance(40)) return;
      const at = m.layout.ramBase + Number(BigInt.asUintN(20, m.state.gpr(6)));
      const { u8 } = m.views;
      const read = (from: number) =>
        Array.from({ length: 8 }, (_, n) => BigInt(u8[from + n] ?? 0) << BigInt(8 * n)).reduce(
          (sum, b) => sum | b,
        );
      m.state.setGpr(RAX, read(at));
      m.state.setGpr(RDX, read(at + 8));
    },
  },
  {
    name: 'loop-of-carries',
    code: `
      again:
      rol eax, 3
      rcl rdx, 1
      shr rbx, cl
      adc rsi, rdx
      adc edi, eax
      sbb r8, rsi
      shl r9, 5
      dec ecx
      jnz again`,
    pointers: [],
    loops: true,
  },
  {
    name: 'division',
    code: `
      add rsi, 1
      mov edx, eax
      shr edx, 20
      div ecx
      adc esi, edx
      div qword ptr [rbx]
      idiv bl`,
    pointers: ['rbx'],
    prepare(m, random) {
      if (random.chance(20)) m.state.setGpr(RCX, 0n);
    },
  },
  {
    name: 'dead-flags',
    code: `
      add eax, ecx
      sub rbx, rdx
      cmp esi, edi
      cmovb eax, ebx
      setg cl
      test edx, edx
      sete ch
      inc rsi
      xor edx, edx
      stc
      adc edi, eax
      cmovs rsi, rdi`,
    pointers: [],
  },
  {
    name: 'slow-calls',
    code: `
      mov ah, byte ptr [rbx]
      mov r10, rdx
      add ebx, eax
      rdtsc
      adc dh, al
      cpuid
      mov word ptr [rsi], cx
      movzx edi, bh`,
    pointers: ['rbx', 'rsi'],
  },
  {
    name: 'scalar-float',
    code: `
      movsd xmm0, qword ptr [rbx]
      addsd xmm0, xmm1
      cvtsi2sd xmm1, eax
      mulss xmm2, dword ptr [rsi]
      ucomisd xmm0, xmm1
      movsd qword ptr [rdi], xmm0
      seta al`,
    pointers: ['rbx', 'rsi', 'rdi'],
    prepare(m, random) {
      if (random.chance(40)) m.state.set('mxcsr', 0x1f80 & (random.u32() | 0x1000));
    },
  },
  {
    name: 'real-mode-segments',
    setup: 'real',
    code: `
      mov ax, word ptr [bx+si]
      push ax
      add word ptr es:[di], cx
      lodsb
      mov dx, word ptr [bp+2]
      loop back
      back:
      nop`,
    pointers: ['rbx', 'rdi', 'rsp', 'rbp'],
    prepare(m, random) {
      m.state.setGpr(6, random.chance(10) ? 0xffffn : BigInt(random.below(0x7fff)));
      if (random.chance(10)) m.state.setGpr(RBX, 0xffffn - m.state.gpr(6)); // A word at 0xffff: #GP.
      if (random.chance(15)) m.state.setGpr(4, BigInt(random.below(4)));
      if (random.chance(10)) m.state.setSeg(SEG_ES, SEG_LIMIT, 0x100);
      if (!random.chance(10)) return;
      m.state.setSeg(SEG_DS, SEG_LIMIT, 0x7000); // lodsb beyond it, the access before it at 0.
      m.state.setGpr(6, 0x7100n);
      m.state.setGpr(RBX, 0x8f00n);
    },
  },
];

/** Flags in every lazy form, or all at once. */
export function randomFlags(m: Machine, random: Random): void {
  const { state } = m;
  if (random.chance(50)) {
    writeStatusFlags(state, random.u32() & 0x8d5);
    return;
  }
  const size = random.below(4);
  const mask = (1n << BigInt(8 << size)) - 1n;
  state.set('flOp', random.below(6) * 4 + size);
  state.set64('flRes', random.integer() & mask);
  state.set64('flX', random.integer() & mask);
  state.set('flAux', random.u32() & 0x811);
}
