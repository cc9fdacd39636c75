// The call itself: number and arguments out of registers, the caller's right to call, the result into RAX.

import type { State } from '../../cpu/state.ts';
import { KVM_ENOSYS, KVM_EPERM } from './abi.ts';
import type { KvmHypercall } from './hypercalls/define.ts';
import * as hypercalls from './hypercalls/index.gen.ts';
import type { KvmVcpu } from './vcpu.ts';

const RAX = 0;
const ARGUMENTS = [3, 1, 2, 6]; // RBX, RCX, RDX, RSI (Documentation/virt/kvm/x86/hypercalls.rst)

const BY_NUMBER: ReadonlyMap<bigint, KvmHypercall> = new Map(
  Object.values(hypercalls).map((call) => [BigInt(call.number), call]),
);

/** Both instructions are the same call; nothing but RAX changes. */
export function hypercall(vcpu: KvmVcpu): void {
  const { state } = vcpu.platform.cpu;
  const result = BigInt(answer(vcpu, state));
  if (state.get('codeMode') === 64) state.setGpr(RAX, BigInt.asUintN(64, result));
  else state.setGpr32(RAX, Number(BigInt.asUintN(32, result)));
}

function answer(vcpu: KvmVcpu, state: State): number {
  if (state.get('cpl') !== 0) return -KVM_EPERM;
  const wide = state.get('codeMode') === 64;
  const register = (n: number) => (wide ? state.gpr(n) : BigInt(state.gpr32(n)));
  const call = BY_NUMBER.get(register(RAX));
  if (!call?.offered(vcpu.version) || vcpu.platform.lacks?.(call.name)) return -KVM_ENOSYS;
  const [a0 = 0n, a1 = 0n, a2 = 0n, a3 = 0n] = ARGUMENTS.map(register);
  return call.handle(vcpu, { a0, a1, a2, a3, wide });
}
