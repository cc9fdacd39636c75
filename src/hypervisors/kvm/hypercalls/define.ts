// The shape of a KVM call: its number, which versions have it, and what it does.

import type { KvmVcpu } from '../vcpu.ts';
import type { KvmVersion } from '../versions.ts';

export interface KvmArguments {
  /** RBX, RCX, RDX, RSI; 32 bits each unless `wide`. */
  readonly a0: bigint;
  readonly a1: bigint;
  readonly a2: bigint;
  readonly a3: bigint;
  /** The caller runs 64-bit code. */
  readonly wide: boolean;
}

export interface KvmHypercall {
  readonly number: number;
  /** As in include/uapi/linux/kvm_para.h. */
  readonly name: string;
  readonly ref: string;
  /** A call that is not offered is unknown: -KVM_ENOSYS. */
  offered(version: KvmVersion): boolean;
  /** What goes into RAX: a result, or an error below zero. */
  handle(vcpu: KvmVcpu, args: KvmArguments): number;
}

export function defineHypercall(call: KvmHypercall): KvmHypercall {
  return call;
}
