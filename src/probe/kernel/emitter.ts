// Code of the probe kernel as it grows: one assembler for both word sizes, call sites of operations, faults that are expected.

import { bug } from '../../base/errors.ts';
import { Assembler, type Label } from '../../cpu/asm.ts';
import type { GuestCode, GuestOperationId } from '../../ops/index.ts';

/** Where every part of the kernel runs, by every protocol: behind the first MiB, one to one. */
export const IMAGE_AT = 0x100000;
export const PAGE = 4096;
const WORD_REGISTERS = /\{(ax|bx|cx|dx|si|di|bp|sp|r8|r9|r1[0-5])\}/g;

export interface CallSite {
  readonly id: GuestOperationId;
  readonly at: Label;
  readonly end: Label;
}

export class Emitter implements GuestCode {
  readonly bits: 32 | 64;
  readonly sites: CallSite[] = [];
  /** Instructions that may fault, and where the guest then goes on. */
  readonly catches: { readonly at: Label; readonly to: Label }[] = [];
  private readonly out: Assembler;
  private made = 0;

  constructor(bits: 32 | 64, origin: number = IMAGE_AT) {
    this.bits = bits;
    this.out = new Assembler(bits, origin);
  }

  get word(): 4 | 8 {
    return this.bits === 64 ? 8 : 4;
  }

  get here(): number {
    return Number(this.out.here);
  }

  text(source: string): this {
    this.out.text(this.spell(source));
    return this;
  }

  /** Code of another mode: entries are made in 32 bits. */
  in32(source: string): this {
    this.out.use(32).text(source).use(this.bits);
    return this;
  }

  /** Instructions that the text cannot say: far jumps and their like. */
  insn(...parts: Parameters<Assembler['insn']>): this {
    this.out.insn(...parts);
    return this;
  }

  bytes(...data: readonly (number | Uint8Array)[]): this {
    this.out.bytes(...data);
    return this;
  }

  string(text: string): this {
    return this.bytes(...Array.from(text, (c) => c.charCodeAt(0)), 0);
  }

  align(bytes: number): this {
    this.out.align(bytes);
    return this;
  }

  dd(...values: readonly (number | bigint | string)[]): this {
    this.out.dd(...values.map((value) => this.datum(value)));
    return this;
  }

  dq(...values: readonly (number | bigint | string)[]): this {
    this.out.dq(...values.map((value) => this.datum(value)));
    return this;
  }

  /** A word of data. */
  dw(...values: readonly (number | bigint | string)[]): this {
    return this.bits === 64 ? this.dq(...values) : this.dd(...values);
  }

  bind(name: string): this {
    this.out.bind(this.out.label(name));
    return this;
  }

  /** Memory outside the image's bytes. */
  place(name: string, address: number): void {
    const label = this.out.label(name);
    if (label.address !== null) bug(`the label '${name}' has a place already`);
    label.address = BigInt(address);
  }

  addressOf(name: string): number {
    return Number(this.out.label(name).address ?? -1n);
  }

  fresh(stem: string): string {
    return `.${stem}.${this.made++}`;
  }

  catching(instruction: string, label: string): this {
    const at = this.out.label(this.fresh('catch'));
    this.out.bind(at);
    this.catches.push({ at, to: this.out.label(label) });
    return this.text(instruction);
  }

  op(id: GuestOperationId): this {
    const [at, end] = [this.out.label(this.fresh('site')), this.out.label(this.fresh('site'))];
    this.out.bind(at);
    this.text(`call {word} ptr [${slotOf(id)}]`);
    this.out.bind(end);
    this.sites.push({ id, at, end });
    return this;
  }

  /** Whether it speaks of a label of somebody else: such code has no meaning by itself. */
  hasUnbound(): boolean {
    return this.out.unbound();
  }

  finish(): Uint8Array {
    return this.out.finish();
  }

  private spell(source: string): string {
    return source
      .replaceAll(WORD_REGISTERS, (_, name: string) => this.register(name))
      .replaceAll('{word}', this.bits === 64 ? 'qword' : 'dword')
      .replaceAll('{W}', String(this.word));
  }

  private register(name: string): string {
    if (/^r\d/.test(name)) return name;
    return `${this.bits === 64 ? 'r' : 'e'}${name}`;
  }

  private datum(value: number | bigint | string): number | bigint | Label {
    return typeof value === 'string' ? this.out.label(value) : value;
  }
}

/** The member of paravirt_ops. */
export const slotOf = (id: string): string => `ops.${id}`;
