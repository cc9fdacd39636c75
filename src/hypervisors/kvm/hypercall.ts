// The call itself: number and arguments out of registers, the caller's right to call, the result into RAX.

import { FIELDS, type State } from '../../cpu/state.ts';
import { KVM_ENOSYS, KVM_EPERM } from './abi.ts';
import type { KvmArguments, KvmHypercall } from './hypercalls/define.ts';
import * as hypercalls from './hypercalls/index.gen.ts';
import type { KvmVcpu } from './vcpu.ts';

const RAX = 0;
const ARGUMENTS = [3, 1, 2, 6]; // RBX, RCX, RDX, RSI (Documentation/virt/kvm/x86/hypercalls.rst)

const BY_NUMBER: ReadonlyMap<number, KvmHypercall> = new Map(
  Object.values(hypercalls).map((call) => [call.number, call]),
);

/** Both instructions are the same call; nothing but RAX changes. */
export function hypercall(vcpu: KvmVcpu): void {
  const { state } = vcpu.platform.cpu;
  const wide = state.get(FIELDS.codeMode) === 64;
  const result = answer(vcpu, state, wide);
  if (wide) state.setGprSigned(RAX, result);
  else state.setGpr32(RAX, result >>> 0);
}

function answer(vcpu: KvmVcpu, state: State, wide: boolean): number {
  if (state.get(FIELDS.cpl) !== 0) return -KVM_EPERM;
  const call = wide && state.gprHigh(RAX) !== 0 ? undefined : BY_NUMBER.get(state.gpr32(RAX));
  if (!call?.offered(vcpu.version) || vcpu.platform.lacks?.(call.name)) return -KVM_ENOSYS;
  return call.handle(vcpu, new RegisterArguments(state, wide));
}

/** Read when a call wants them: most have none. */
class RegisterArguments implements KvmArguments {
  readonly wide: boolean;
  private readonly state: State;

  constructor(state: State, wide: boolean) {
    this.state = state;
    this.wide = wide;
  }

  get a0(): bigint {
    return this.register(0);
  }
  get a1(): bigint {
    return this.register(1);
  }
  get a2(): bigint {
    return this.register(2);
  }
  get a3(): bigint {
    return this.register(3);
  }

  private register(n: number): bigint {
    const register = ARGUMENTS[n]!;
    return this.wide ? this.state.gpr(register) : BigInt(this.state.gpr32(register));
  }
}
