// The assembler: one line of text, or a program with labels, to bytes; from the same table as the decoder.

import { InputError } from '../base/errors.ts';
import { little } from './asm/address.ts';
import { type Encoding, type Fixup, fitRelative, type Request } from './asm/encode.ts';
import { type AsmArgument, type Label, toOperand } from './asm/operands.ts';
import { type ParsedLine, parseHead, parseLine } from './asm/parse.ts';
import { shortest } from './asm/select.ts';

export { imm, type Label, mem, reg, short } from './asm/operands.ts';

type Mode = 16 | 32 | 64;

/** The shortest encoding of one instruction in Intel syntax, whose first byte is at `va`. */
export function assemble(mode: Mode, text: string, va: number | bigint = 0): Uint8Array {
  return Uint8Array.from(
    encode(
      mode,
      parseLine(text, () => null),
      BigInt(va),
    ).bytes,
  );
}

function encode(mode: Mode, line: ParsedLine, at: bigint): Encoding {
  const request: Request = { ...line, mode, at };
  return shortest(request);
}

interface PendingFixup extends Fixup {
  /** Address after the instruction, from which relative ones count. */
  readonly next: bigint;
  readonly mode: Mode;
}

/**
 * A program under construction. Jumps back take the shortest form; jumps to labels not yet bound take the near form,
 * unless `short(label)` asks for the 8-bit one. Memory operands with a label are relative to RIP in 64-bit code.
 */
export class Assembler {
  readonly origin: bigint;
  private mode: Mode;
  private readonly code: number[] = [];
  private readonly pending: PendingFixup[] = [];
  private readonly names = new Map<string, Label>();

  constructor(mode: Mode, origin: number | bigint = 0) {
    this.mode = mode;
    this.origin = BigInt(origin);
  }

  /** Address of the next byte. */
  get here(): bigint {
    return this.origin + BigInt(this.code.length);
  }

  /** Code mode of what follows. */
  use(mode: Mode): this {
    this.mode = mode;
    return this;
  }

  /** One instruction; `name` may have prefixes: `lock xadd`, `rep movsb`, `o64 sysret`. */
  insn(name: string, ...args: readonly AsmArgument[]): this {
    const head = parseHead(name);
    return this.emit({ ...head.prefixes, name: head.name, operands: args.map(toOperand) });
  }

  /** Lines of text; `name:` binds a label. */
  text(source: string): this {
    for (const line of source.split(/[\n;]/).map((part) => part.trim())) {
      const bound = /^([A-Za-z_.][A-Za-z0-9_.]*):$/.exec(line);
      if (bound) this.bind(this.named(bound[1] ?? ''));
      else if (line !== '') this.emit(parseLine(line, (name) => this.named(name)));
    }
    return this;
  }

  label(name = ''): Label {
    return name === ''
      ? { kind: 'label', name: `label ${this.names.size}`, address: null }
      : this.named(name);
  }

  bind(label: Label): this {
    if (label.address !== null)
      throw new InputError(
        'asm/label-bound-twice',
        `the label '${label.name}' is bound twice`,
        'Give each place its own label.',
      );
    label.address = this.here;
    return this;
  }

  bytes(...data: readonly (number | Uint8Array)[]): this {
    for (const part of data) {
      if (typeof part === 'number') this.code.push(part & 0xff);
      else for (const byte of part) this.code.push(byte);
    }
    return this;
  }

  align(bytes: number, fill = 0): this {
    while (this.here % BigInt(bytes) !== 0n) this.code.push(fill);
    return this;
  }

  dw(...values: readonly (number | bigint | Label)[]): this {
    return this.data(2, values);
  }
  dd(...values: readonly (number | bigint | Label)[]): this {
    return this.data(4, values);
  }
  dq(...values: readonly (number | bigint | Label)[]): this {
    return this.data(8, values);
  }

  /** Whether a label is used that has no address yet. */
  unbound(): boolean {
    return this.pending.some(({ label }) => label.address === null);
  }

  /** The bytes, all labels filled in. */
  finish(): Uint8Array {
    const code = Uint8Array.from(this.code);
    for (const f of this.pending) code.set(little(resolve(f), f.bytes), f.at);
    return code;
  }

  private emit(line: ParsedLine): this {
    const start = this.code.length;
    const { bytes, fixups } = encode(this.mode, line, this.here);
    this.code.push(...bytes);
    const { here: next, mode } = this;
    for (const f of fixups) this.pending.push({ ...f, at: start + f.at, next, mode });
    return this;
  }

  private data(bytes: number, values: readonly (number | bigint | Label)[]): this {
    const { mode } = this;
    for (const value of values) {
      if (typeof value === 'object') {
        const at = this.code.length;
        this.pending.push({
          at,
          bytes,
          relative: false,
          signed: false,
          label: value,
          addend: 0n,
          next: 0n,
          mode,
        });
      }
      this.code.push(...little(typeof value === 'object' ? 0n : BigInt(value), bytes));
    }
    return this;
  }

  private named(name: string): Label {
    let label = this.names.get(name);
    if (!label) {
      label = { kind: 'label', name, address: null };
      this.names.set(name, label);
    }
    return label;
  }
}

function resolve(f: PendingFixup): bigint {
  const { address, name } = f.label;
  if (address === null)
    throw new InputError(
      'asm/unbound-label',
      `the label '${name}' is used and never bound`,
      'Bind it with bind(label).',
    );
  const value = address + f.addend;
  const bits = f.bytes * 8;
  const fits = f.relative
    ? fitRelative(value - f.next, f.bytes, f.mode === 64 ? 64 : bits === 16 ? 16 : 32, f.mode)
    : value >= 0n && value < 1n << BigInt(f.signed && bits < 64 ? bits - 1 : bits)
      ? value
      : BigInt.asIntN(bits, value) === BigInt.asIntN(64, value)
        ? value
        : null;
  if (fits === null)
    throw new InputError(
      'asm/out-of-range',
      `the label '${name}' is too far away for ${bits} bits`,
      'Use the near form, or move the origin.',
    );
  return fits;
}
