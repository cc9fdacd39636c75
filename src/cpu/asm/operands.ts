// Operands as the assembler takes them, and the short ways to write them.

import { InputError } from '../../base/errors.ts';
import { REGISTERS, type Register, SEGMENT_NAMES } from '../registers.ts';

/** A place in the code. Its address is known once it is bound. */
export interface Label {
  readonly kind: 'label';
  readonly name: string;
  address: bigint | null;
}

export interface RegOperand extends Register {
  readonly kind: 'reg';
}

export interface ImmOperand {
  readonly kind: 'imm';
  readonly value: bigint;
  /** Added to `value`. */
  readonly label: Label | null;
  /** A jump forward that shall have an 8-bit displacement. */
  readonly short: boolean;
}

export interface MemOperand {
  readonly kind: 'mem';
  /** Bits; 0: whatever the instruction makes of it. */
  readonly size: number;
  readonly base: Register | null;
  readonly index: Register | null;
  readonly scale: 1 | 2 | 4 | 8;
  readonly disp: bigint;
  /** Added to `disp`: relative to RIP in 64-bit code, absolute elsewhere. */
  readonly label: Label | null;
  /** Relative to the next instruction, with this address size; 0: not. */
  readonly rip: 0 | 32 | 64;
  /** 0..5, or -1: the usual one. */
  readonly segment: number;
}

export type AsmOperand = RegOperand | ImmOperand | MemOperand;
/** A register by name, a number, a label, or an operand. */
export type AsmArgument = string | number | bigint | Label | AsmOperand;

export interface Address {
  readonly base?: string;
  readonly index?: string;
  readonly scale?: 1 | 2 | 4 | 8;
  readonly disp?: number | bigint;
  readonly label?: Label;
  readonly size?: number;
  readonly segment?: (typeof SEGMENT_NAMES)[number];
}

export function reg(name: string): RegOperand {
  const found = REGISTERS.get(name);
  if (!found)
    throw new InputError(
      'asm/bad-operand',
      `'${name}' is not a register`,
      'Use a name such as rax, r8d, xmm1 or cr0.',
    );
  return { kind: 'reg', ...found };
}

/** `base: 'rip'` counts from the next instruction. */
export function mem(address: Address): MemOperand {
  const rip = address.base === 'rip' ? 64 : address.base === 'eip' ? 32 : 0;
  let base = address.base === undefined || rip !== 0 ? null : reg(address.base);
  let index = address.index === undefined ? null : reg(address.index);
  const scale = address.scale ?? 1;
  // rSP cannot be an index; as a sum the two may change places. So may the registers of 16-bit addresses.
  const swap =
    scale === 1 && index !== null && (index.number === 4 || (index.size === 16 && isBase16(index)));
  if (swap && base !== null) [base, index] = [index as RegOperand, base];
  return {
    kind: 'mem',
    size: address.size ?? 0,
    base,
    index,
    scale,
    disp: BigInt(address.disp ?? 0),
    label: address.label ?? null,
    rip,
    segment: address.segment === undefined ? -1 : SEGMENT_NAMES.indexOf(address.segment),
  };
}

const isBase16 = (r: Register): boolean => r.number === 3 || r.number === 5;

export function imm(value: number | bigint): ImmOperand {
  return { kind: 'imm', value: BigInt(value), label: null, short: false };
}

/** A label as the target of a jump with an 8-bit displacement. */
export function short(label: Label): ImmOperand {
  return { kind: 'imm', value: 0n, label, short: true };
}

export function toOperand(argument: AsmArgument): AsmOperand {
  if (typeof argument === 'string') return reg(argument);
  if (typeof argument === 'number' || typeof argument === 'bigint') return imm(argument);
  if (argument.kind === 'label') return { kind: 'imm', value: 0n, label: argument, short: false };
  return argument;
}
