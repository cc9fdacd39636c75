// Structures of Xen's public headers in both word sizes: what is `unsigned long` or a pointer follows the guest.

import { type Fields, type Scalar, type Struct, struct } from '../../../base/struct.ts';

/**
 * `ulong` is `unsigned long`, `xen_ulong_t` or `xen_pfn_t`, of which a 64-bit one beyond 2^53 makes the read `null`; `handle` a
 * guest pointer, which in 64-bit guests is a signed number as the MMU takes it, canonical or not.
 */
type Wordy = 'ulong' | 'handle';
// biome-ignore lint/suspicious/noExplicitAny: a structure of any fields, as in base/struct.ts.
type AnyXenStruct = XenStruct<any>;
type XenField = Scalar | `${Scalar}[${number}]` | Wordy | `ulong[${number}]` | AnyXenStruct;
export type XenFields = { readonly [name: string]: XenField };

type Narrowed<T> = T extends Wordy
  ? 'u32'
  : T extends `ulong[${infer N extends number}]`
    ? `u32[${N}]`
    : T extends XenStruct<infer F>
      ? Struct<Narrow<F>>
      : T;
/** Both variants have numbers in the same places, so one type stands for both. */
export type Narrow<F extends XenFields> = { readonly [K in keyof F]: Narrowed<F[K]> };

export interface XenStruct<F extends XenFields> {
  /** As C says it: `struct vcpu_runstate_info`. */
  readonly cName: string;
  /** The header, below xen/include/public. */
  readonly header: string;
  readonly wide: Struct<Narrow<F>>;
  readonly narrow: Struct<Narrow<F>>;
  /** C's names of members that are spelled otherwise here: those inside unions. */
  readonly members: Readonly<Record<string, string>>;
  /** C's structure goes on behind our last member. */
  readonly partial: boolean;
}

export interface XenStructOptions {
  readonly header: string;
  /** `sizeof` in 64-bit and in 32-bit guests. */
  readonly size: readonly [wide: number, narrow: number];
  readonly members?: Readonly<Record<string, string>>;
  readonly partial?: boolean;
  /** Members of the 32-bit form where they are not those of the 64-bit one; of another length at most. */
  readonly narrow?: XenFields;
}

export function xenStruct<const F extends XenFields>(
  cName: string,
  fields: F,
  { header, size, members = {}, partial = false, narrow = fields }: XenStructOptions,
): XenStruct<F> {
  const name = cName.replace(/^(struct|union) /, '');
  const make = (wide: boolean) =>
    struct(name, expand(wide ? fields : narrow, wide), {
      size: size[wide ? 0 : 1],
      abi: wide ? 'x86-64' : 'i386',
    }) as unknown as Struct<Narrow<F>>;
  return { cName, header, wide: make(true), narrow: make(false), members, partial };
}

function expand(fields: XenFields, wide: boolean): Fields {
  const out: Record<string, Fields[string]> = {};
  for (const [name, field] of Object.entries(fields)) {
    if (typeof field === 'object') out[name] = wide ? field.wide : field.narrow;
    else out[name] = expandName(field, wide) as Scalar;
  }
  return out;
}

function expandName(field: string, wide: boolean): string {
  if (field === 'handle') return wide ? 'va64' : 'u32';
  return field.replace(/^ulong/, wide ? 'u64' : 'u32');
}
