// A suspended PV domain goes on: new shared_info and ports, told in the start_info page that the guest has named.

import { EINVAL } from '../xen/abi/errno.ts';
import { sharedInfo } from '../xen/abi/xen.ts';
import { forgetDomain, placeSharedInfo } from '../xen/resume.ts';
import type { RingPages, Toolstack } from '../xen/toolstack.ts';
import { firstMemoryMap } from './memory-map.ts';
import { crashDomain, type PvDomain } from './pv-domain.ts';
import { startInfo } from './start-info.ts';

const PAGE = 4096;
/** struct vcpu_info (xen.h): pending, mask, and the selector a word behind them. */
const VCPU_INFO_BYTES = 64;
const PENDING = 0;
const MASK = 1;
const SELECTOR = 8;

/**
 * The guest has made page numbers of the ring frames in its start_info, as a toolstack wants it, and finds frames there
 * again (tools/libs/guest, restore of x86 PV: process_start_info and handle_shared_info). Answers what the call returns.
 */
export function resumePv(pv: PvDomain, toolstack: Toolstack, frame: number): number {
  const { xen, frames, platform, state } = pv;
  const { ram } = platform;
  const page = frames.mayBeWritten(frame) ? ram.read(frame * PAGE, PAGE) : null;
  const layout = xen.state.wideShared ? startInfo.wide : startInfo.narrow;
  const view = page && new DataView(page.buffer);
  const told = view && layout.read(view, 0);
  const rings = told && ringPages(pv, told.store_mfn, told.console_mfn);
  if (!page || !view || !rings) {
    crashDomain(pv, 'a suspend that names no start_info, or no pages for the rings in it');
    return -EINVAL;
  }
  const before = xen.state.sharedInfo;
  const address = xen.guest.hostFrame();
  if (address < 0) {
    crashDomain(pv, 'there is no frame for another shared_info');
    return -EINVAL;
  }
  ram.write(address, ram.view(before, PAGE)!);
  forgetDomain(xen, toolstack);
  if (state.eoiFrame >= 0) xen.guest.releaseFrame(state.eoiFrame);
  Object.assign(state, { pirqs: [], eoiFrame: -1, memoryMap: firstMemoryMap(state.maxPages) });
  clearEvents(pv, address);
  placeSharedInfo(xen, address);
  xen.guest.reclaim(before);
  const { storePort, consolePort } = toolstack.begin(rings);
  layout.write(view, 0, {
    nr_pages: state.maxPages,
    shared_info: address,
    flags: 0,
    store_mfn: rings.store / PAGE,
    store_evtchn: storePort,
    console_mfn: rings.console / PAGE,
    console_evtchn: consolePort,
  });
  ram.write(frame * PAGE, page);
  return 0;
}

/** RAM addresses of the pages behind two page numbers; null if one of them is not the guest's. */
function ringPages(pv: PvDomain, storePfn: number, consolePfn: number): RingPages | null {
  const [store, console] = [storePfn, consolePfn].map((pfn) => {
    const mfn = pv.space.mfnOf(pfn);
    return pv.frames.mayBeWritten(mfn) ? mfn * PAGE : -1;
  }) as [number, number];
  return store >= 0 && console >= 0 ? { store, console } : null;
}

/** Nothing is pending, every port is masked, and upcalls are too, until the guest has set them up again. */
function clearEvents({ platform: { ram }, xen }: PvDomain, address: number): void {
  const wide = xen.state.wideShared;
  const layout = wide ? sharedInfo.wide : sharedInfo.narrow;
  const [pending, mask, end] = (['evtchn_pending', 'evtchn_mask', 'wc_version'] as const).map(
    (name) => layout.offsetOf(name),
  ) as [number, number, number];
  ram.fill(address + pending, mask - pending, 0);
  ram.fill(address + mask, end - mask, 0xff);
  for (const { id } of xen.vcpus) {
    const info = address + id * VCPU_INFO_BYTES;
    ram.setU8(info + PENDING, 0);
    ram.setU8(info + MASK, 1);
    ram.setU64(info + SELECTOR, 0, 0);
  }
  // arch.pfn_to_mfn_frame_list_list, behind max_pfn: the guest builds its lists again.
  const lists = address + layout.size + (wide ? 8 : 4);
  ram.setU32(lists, 0);
  if (wide) ram.setU32(lists + 4, 0);
}
