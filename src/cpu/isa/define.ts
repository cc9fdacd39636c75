// The shape of an entry of the instruction table: encodings, operands, flags and meaning, in one object literal.

import type { Build } from './build.ts';

/**
 * One encoding.
 *
 * `op` is a list of tokens in the SDM's order (volume 2, "Instruction Format"):
 *   `NP` `66` `F2` `F3`   mandatory prefix, before the opcode (`NP`: none of the three may be present)
 *   `W0` `W1`             REX.W must be clear / set
 *   `0f 38 f0`            opcode bytes, lower case; the last may be `50+r` (register in its low three bits) or `70+cc`
 *                         (condition in its low four bits)
 *   `/r` `/0`..`/7`       a ModRM byte follows; a digit fixes its reg field
 *   `=c0`                 the ModRM byte is exactly this one (`d9 =e8` is fld1, `0f 01 =d0` is xgetbv)
 *   `=c0+i`               ModRM c0..c7, low three bits an x87 register
 * Immediates follow from `args`.
 *
 * `args` are the SDM's operand codes (volume 2, appendix A.2): addressing letter and size letter(s), comma separated.
 *   E G I J M O A C D S R X Y V W U P Q N ST0 STi F are understood; literals AL CL DL AX DX eAX(=rAX by operand size)
 *   eCX..., `1`, `rAX` (always the full width of the mode), ES CS SS DS FS GS, `Zv`/`Zb`/`Zq` for the `+r` register.
 *   Sizes: b w d q v z y dq ps pd ss sd x p s a, and `Mt` for an operand whose size only its meaning knows.
 *   `x/y` after a register code gives the size as register and as memory: `Ev/w`, `Vq`, `Wq` (low half of an xmm), `Wdq/q`.
 *   In detail:
 *   - v: 16 32 64 by operand size; z: 16 32 32; y: 64 with REX.W, else 32; `Ry`/`Rm` (mov cr): m is 64 in 64-bit code, else 32.
 *   - `Ib` has size 8. `Ibs` is one byte sign-extended to the operand size (`83 /0`: `Ev,Ibs`; `6b`: `Gv,Ev,Ibs`; `6a`: `Ibs`).
 *     `Iz` has the operand size (32 bits extended to 64), `Iv` (only `b8+r`) too, `Iw` is 16. `Jb` `Jz`: imm 0, size = operand size.
 *   - `Ap` binds two operands: offset (imm 0, operand size), then selector (imm 1, size 16).
 *   - `M` alone, `Mt`, `Ms`: a memory operand of size 0; `Mst`: 80 bits; `Mp`: far pointer, 32/48/80 bits by operand size; `Ma`: two operands.
 *   - `X`/`Y` (strings) bind a memory operand of that size; the address is the meaning's business (`Decoded.segment` is X's).
 *   - `F` (flags) binds nothing. AL..., ST0, ES... bind a fixed register; `eAX` 16/32/64 by operand size, `eAXz` 16/32 (in, out).
 *   - A form with only M operands matches memory only; with U N R only registers; E W Q both. `/digit` without a ModRM operand
 *     matches every mod; give an exact ModRM (`=e8`) or `=c0+i` otherwise.
 *   - The operand size of a form with a mandatory prefix ignores 66, except where it has a v or z operand (crc32, popcnt, movbe).
 */
export interface Form {
  readonly op: string;
  readonly args: string;
  /** LOCK is legal (with a memory destination). */
  readonly lock?: boolean;
  /** Code modes in which the encoding exists: '64' only long mode, 'no64' all others. Absent: all. */
  readonly only?: '64' | 'no64';
  /** In 64-bit code the operand size is 64 without REX.W: 'd64' (66 gives 16), 'f64' (66 is ignored). SDM 2A, table A-1. */
  readonly size64?: 'd64' | 'f64';
  /** REP (string instructions): F3/F2 are repeat prefixes, not mandatory ones. */
  readonly rep?: 'rep' | 'repcc';
  /** Which CPUID feature the encoding needs, as in the SDM's column; absent: the 80386 set. A name of `cpuid.ts`. */
  readonly needs?: string;
  /** The meaning depends on whether the base of the memory operand is rSP (`pop`): `variant.spBase`, and part of the key. */
  readonly asksSpBase?: boolean;
  /** A near branch, which looks at the limit of CS where that is not 4 GiB: `variant.limited`, and part of the key. */
  readonly near?: boolean;
  /** Overrides the printed mnemonic: `movsd` for one form of `movs`, `cwde`/`cdqe`. */
  readonly name?: string;
}

export type FlagEffect = 'w' | 'r' | 'rw' | 'u' | '0' | '1';
export type Flags = Partial<
  Record<'cf' | 'pf' | 'af' | 'zf' | 'sf' | 'of' | 'df' | 'if', FlagEffect>
>;

/** An operand, as `sem` sees it. Which register, which address and which immediate are known when code is decoded. */
export type Operand =
  | {
      readonly kind: 'reg';
      readonly file: 'gpr' | 'xmm' | 'mm' | 'seg' | 'cr' | 'dr' | 'st';
      readonly size: number;
      /** Index into the decoded instruction's `regs`; or a fixed register number. */
      readonly slot: number;
      readonly fixed?: number;
    }
  /** Memory at the decoded effective address. `size` 0: only the meaning knows (fxsave, lgdt, lea ...). */
  | { readonly kind: 'mem'; readonly size: number }
  /** Immediate `n` (0 or 1), sign-extended to `size` bits by the decoder as the encoding says. `fixed`: the literal `1`. */
  | { readonly kind: 'imm'; readonly size: number; readonly n: number; readonly fixed?: number };

export interface Insn {
  /** Intel's mnemonic, lower case. With a `+cc` opcode the condition is appended: `j`, `set`, `cmov`. */
  readonly name: string;
  readonly ref: string;
  readonly forms: readonly Form[];
  readonly flags?: Flags;
  /** May only run at CPL 0: #GP(0) otherwise, before anything else. SDM 3A 5.9. */
  readonly privileged?: boolean;
  /**
   * Records the meaning as IR; computes nothing. Called once for each combination of form, operand size, address size,
   * code mode, repeat prefix and register/memory kind that is met.
   */
  sem(b: Build, ...operands: Operand[]): void;
}
