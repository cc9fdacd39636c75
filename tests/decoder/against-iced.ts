// Compares one decoded instruction with what iced-x86 makes of the same bytes.

import {
  Code,
  Decoder,
  DecoderOptions,
  type Instruction,
  Mnemonic,
  OpKind,
  Register,
} from 'iced-x86';
import type { Decoded } from '../../src/cpu/decoded.ts';
import { mnemonic } from '../../src/cpu/disasm.ts';
import type { CompiledForm } from '../../src/cpu/isa/compile.ts';
import type { Operand } from '../../src/cpu/isa/define.ts';
import { REGISTERS, registerName } from '../../src/cpu/registers.ts';
import { forms } from '../../src/cpu/table.ts';

/** Our mnemonic (the SDM's) -> iced's, where they differ: other spellings, and finer divisions of the same hint. */
const NAMES: Readonly<Record<string, RegExp>> = {
  bsf: /^tzcnt$/, // F3 is ignored without BMI1
  callf: /^call$/,
  jmpf: /^jmp$/,
  shl: /^sal$/, // group 2, /6: an alias that only iced tells apart
  xlat: /^xlatb$/,
  fwait: /^wait$/,
  fstp: /^fstpnce$/,
  wbinvd: /^wbnoinvd$/, // F3 is ignored where CPUID does not offer it
  sysret: /^sysretq$/,
  sysexit: /^sysexitq$/,
  pcmpestri: /^pcmpestri64$/,
  pcmpestrm: /^pcmpestrm64$/,
  nop: /^(reservednop|cldemote|prefetchit[01]|rdssp[dq])$/,
  prefetch: /^prefetch(w|wt1|reserved)?$/,
  prefetchnta: /^reservednop$/,
  prefetcht0: /^reservednop$/,
  prefetcht1: /^reservednop$/,
  prefetcht2: /^reservednop$/,
};

/** iced gives these operands of its own (or none) for what our table leaves implicit. */
const IMPLICIT =
  /^(xlatb?|maskmovdqu|maskmovq|monitorx?|mwaitx?|clzero|invlpga|enqcmd|in|out|umonitor|pvalidate|rmpadjust|rmpupdate)$/;

/** REX.W gives iced's register 64 bits here (66: 16, movsxd), where the extra half is zero or unused either way. */
const ANY_WIDTH =
  /^(ud[01]|movsxd|pinsr[bw]|pextr[bw]|extractps|movmskp[sd]|pmovmskb|mov|lar|lsl|verr|verw|lldt|ltr|lmsw|smsw|str|sldt)$/;

/** Near branches, which 66 makes 16-bit ones on AMD's processors only. APM 3 JMP (Near). */
const NEAR_BRANCH = /^(jmp|j|call|ret|jcxz|loop|loope|loopne)$/;

/** null: they agree. Otherwise a sentence. */
export function differenceFromIced(
  bytes: Uint8Array,
  d: Decoded,
  mode: 16 | 32 | 64,
): string | null {
  const options = NEAR_BRANCH.test(d.insn.name) ? DecoderOptions.AMD : DecoderOptions.None;
  const decoder = new Decoder(mode, bytes, options);
  const insn = decoder.decode();
  try {
    const form = forms[d.formId] as CompiledForm;
    if (insn.code === Code.INVALID) return 'iced has no such instruction';
    if (insn.length !== d.length) return `iced has ${insn.length} bytes, we ${d.length}`;
    const theirs = (Mnemonic[insn.mnemonic] ?? '').toLowerCase();
    const ours = mnemonic(form, d.variant);
    if (theirs !== ours && !NAMES[ours]?.test(theirs))
      return `iced calls it ${theirs} (${Code[insn.code]}), we ${ours}`;
    return IMPLICIT.test(ours) || /^(reservednop|rdssp)/.test(theirs)
      ? null
      : operandDifference(insn, d, form);
  } finally {
    insn.free();
    decoder.free();
  }
}

function operandDifference(insn: Instruction, d: Decoded, form: CompiledForm): string | null {
  if (form.form.args === 'Ap') return null;
  if (insn.opCount !== d.operands.length)
    return `iced has ${insn.opCount} operands (${Code[insn.code]}), we ${d.operands.length}`;
  for (let n = 0; n < d.operands.length; n++) {
    const theirs = theirOperand(insn, n);
    const ours = ourOperand(d, form, n);
    if (theirs !== ours && !isSameRegister(theirs, ours, form))
      return `operand ${n} of ${Code[insn.code]} is ${theirs} for iced, ${ours} for us`;
  }
  return null;
}

function isSameRegister(theirs: string, ours: string, form: CompiledForm): boolean {
  const number = (name: string) => REGISTERS.get(name)?.number ?? -1;
  return (
    ANY_WIDTH.test(form.names[0] ?? '') && number(ours) >= 0 && number(theirs) === number(ours)
  );
}

function ourOperand(d: Decoded, form: CompiledForm, n: number): string {
  const o = d.operands[n] as Operand;
  const arg = form.args[n];
  if (o.kind === 'reg') return registerName(o.file, o.size, o.fixed ?? (d.regs[o.slot] as number));
  if (o.kind === 'mem') {
    if (arg?.from === 'string') return arg.destination ? `string es` : `string ${d.segment}`;
    return ourMemory(d);
  }
  if (o.fixed !== undefined) return `imm ${o.fixed}`;
  const value = (BigInt(d.immHi[o.n] as number) << 32n) | BigInt((d.immLo[o.n] as number) >>> 0);
  if (arg?.from === 'imm' && arg.relative) {
    const { mode, osize } = d.variant;
    const bits = osize === 16 ? 16 : mode === 64 ? 64 : osize;
    return `to ${BigInt.asUintN(bits, value + BigInt(d.length))}`;
  }
  const size = arg?.from === 'imm' && arg.extended ? d.variant.osize : o.size;
  return `imm ${BigInt.asUintN(size, value)}`;
}

function ourMemory(d: Decoded): string {
  const { asize } = d.variant;
  const name = (r: number) => (r < 0 ? '-' : registerName('gpr', asize, r));
  let disp = (BigInt(d.dispHi) << 32n) | BigInt(d.disp >>> 0);
  if (d.ripRelative) disp += BigInt(d.length);
  const base = d.ripRelative ? (asize === 64 ? 'rip' : 'eip') : name(d.base);
  return `mem ${d.segment}:${base}+${name(d.index)}*${1 << d.scale}+${BigInt.asUintN(asize, disp)}`;
}

function theirOperand(insn: Instruction, n: number): string {
  const kind = insn.opKind(n);
  switch (kind) {
    case OpKind.Register:
      return theirRegister(insn.opRegister(n));
    case OpKind.NearBranch16:
    case OpKind.NearBranch32:
    case OpKind.NearBranch64:
      return `to ${insn.nearBranchTarget}`;
    case OpKind.Memory:
      return theirMemory(insn);
    case OpKind.MemorySegSI:
    case OpKind.MemorySegESI:
    case OpKind.MemorySegRSI:
      return `string ${theirSegment(insn)}`;
    case OpKind.MemoryESDI:
    case OpKind.MemoryESEDI:
    case OpKind.MemoryESRDI:
      return 'string es';
    default:
      return `imm ${BigInt.asUintN(immediateBits(kind), insn.immediate(n))}`;
  }
}

function immediateBits(kind: OpKind): number {
  if (kind === OpKind.Immediate8 || kind === OpKind.Immediate8_2nd) return 8;
  if (kind === OpKind.Immediate16 || kind === OpKind.Immediate8to16) return 16;
  return kind === OpKind.Immediate32 || kind === OpKind.Immediate8to32 ? 32 : 64;
}

function theirRegister(register: Register): string {
  const name = (Register[register] ?? '').toLowerCase();
  return name === 'none' ? '-' : name.replace(/^(r\d+)l$/, '$1b');
}

/** iced keeps ES CS SS DS overrides that 64-bit code ignores; FS and GS count. */
function theirSegment(insn: Instruction): number {
  const override = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'].indexOf(theirRegister(insn.memorySegment));
  const long = Code64.has(insn.codeSize);
  if (!long || override > 3) return override;
  const base = theirRegister(insn.memoryBase);
  return /^[re](sp|bp)$/.test(base) ? 2 : 3;
}

/** CodeSize.Code64 of iced. */
const Code64 = new Set([3]);

function theirMemory(insn: Instruction): string {
  const base = theirRegister(insn.memoryBase);
  const index = theirRegister(insn.memoryIndex);
  return `mem ${theirSegment(insn)}:${base}+${index}*${index === '-' ? 1 : insn.memoryIndexScale}+${theirDisplacement(insn, base, index)}`;
}

function theirDisplacement(insn: Instruction, base: string, index: string): bigint {
  const register = base === '-' ? index : base;
  const bits =
    register === '-'
      ? insn.memoryDisplSize * 8
      : /^r/.test(register)
        ? 64
        : /^e/.test(register)
          ? 32
          : 16;
  return BigInt.asUintN(bits === 0 ? 64 : bits, insn.memoryDisplacement);
}
