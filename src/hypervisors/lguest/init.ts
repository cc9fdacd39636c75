// LGUEST_INIT: the guest names its data area, and host and guest tell each other what the other has to know.

import { DEFAULT_MODEL } from '../../cpu/cpuid.ts';
import { LHCALL, lguestData, SWITCHER_ADDR } from './abi.ts';
import { DATA, hex, killGuest, type LguestHost, readData, writeData } from './host.ts';
import { writeTime } from './interrupts.ts';
import { topIndex } from './walk.ts';

const SYSCALL_VECTOR = 0x80;

/** The first call that a guest makes; any other before it is its end. */
export function initialize(host: LguestHost, number: number, gpa: number): void {
  const { state, memory, shadow, platform } = host;
  if (number !== LHCALL.LGUEST_INIT || platform.lacks?.('LHCALL_LGUEST_INIT'))
    return killGuest(host, `hypercall ${number | 0} before INIT`);
  if (!memory.contains(gpa, lguestData.size)) return killGuest(host, `bad guest page ${hex(gpa)}`);
  state.data = gpa;
  state.noirqStart = readData(host, DATA.noirq_start);
  state.noirqEnd = readData(host, DATA.noirq_end);
  state.syscallVec = readData(host, DATA.syscall_vec);
  if (state.syscallVec !== SYSCALL_VECTOR)
    return killGuest(host, `bad syscall vector ${hex(state.syscallVec)}`);
  writeData(host, DATA.tsc_khz, DEFAULT_MODEL.tscHz / 1000);
  writeTime(host);
  const kernelAddress = readData(host, DATA.kernel_address);
  const switcher = SWITCHER_ADDR[state.pae ? 'pae' : 'plain'];
  if (!isBelow(state.pae, kernelAddress, switcher))
    return killGuest(host, `bad kernel address ${hex(kernelAddress)}`);
  state.kernelAddress = kernelAddress;
  writeData(host, DATA.reserve_mem, 2 ** 32 - switcher);
  writeData(host, DATA.pgdir, shadow.top());
  shadow.clearAll();
  platform.seen?.('LHCALL_LGUEST_INIT', { lguest_data: gpa }, null);
}

/** By entries, not by addresses (page_table_guest_data_init of drivers/lguest/page_tables.c, 2.6.32). */
function isBelow(pae: boolean, kernelAddress: number, switcher: number): boolean {
  return pae
    ? kernelAddress < switcher
    : topIndex(false, kernelAddress) < topIndex(false, switcher);
}
