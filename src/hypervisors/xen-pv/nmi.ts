// The guest's handler for NMIs, which has calls of its own beside the trap table.

import { NMI } from '../../cpu/control-bits.ts';
import { FLAT_RING1_CS, FLAT_RING3_CS64 } from './abi.ts';
import type { PvVcpuState } from './pv-state.ts';

/** It is the trap table's own entry, in Xen's flat segment (Xen 4.17, pv/callback.c). */
export function registerNmi(vcpu: PvVcpuState, address: number, wide: boolean): void {
  vcpu.trapAddress[NMI] = address;
  vcpu.trapFlags[NMI] = 0;
  vcpu.trapCs[NMI] = wide ? FLAT_RING3_CS64 : FLAT_RING1_CS;
}

export function forgetNmi(vcpu: PvVcpuState): void {
  vcpu.trapAddress[NMI] = 0;
  vcpu.trapFlags[NMI] = 0;
  vcpu.trapCs[NMI] = 0;
}
