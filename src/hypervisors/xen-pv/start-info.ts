// start_info: the page that tells a PV guest where everything is.

import { xenStruct } from '../xen/abi/layout.ts';

/** xen/include/public/xen.h */
export const SIF_PRIVILEGED = 1 << 0;
export const SIF_INITDOMAIN = 1 << 1;
export const SIF_MOD_START_PFN = 1 << 3;
export const MAX_GUEST_CMDLINE = 1024;
export const START_MAGIC_64 = 'xen-3.0-x86_64';
export const START_MAGIC_32 = 'xen-3.0-x86_32p';

export const startInfo = xenStruct(
  'struct start_info',
  {
    magic: 'u8[32]',
    nr_pages: 'ulong',
    shared_info: 'ulong',
    flags: 'u32',
    store_mfn: 'ulong',
    store_evtchn: 'u32',
    console_mfn: 'ulong',
    console_evtchn: 'u32',
    pt_base: 'handle',
    nr_pt_frames: 'ulong',
    mfn_list: 'handle',
    mod_start: 'handle',
    mod_len: 'ulong',
    cmd_line: 'u8[1024]',
    first_p2m_pfn: 'ulong',
    nr_p2m_frames: 'ulong',
  },
  {
    header: 'xen.h',
    size: [1168, 1112],
    members: { console_mfn: 'console.domU.mfn', console_evtchn: 'console.domU.evtchn' },
  },
);
