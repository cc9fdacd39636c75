// grant_table_op: the table's size, version and frames, copies between granted frames, and mapping of others' grants.

import type { StructValue } from '../../../base/struct.ts';
import { EFAULT, EINVAL, ENOSYS, EOPNOTSUPP, EPERM } from '../abi/errno.ts';
import * as abi from '../abi/grant-table.ts';
import type { XenFields, XenStruct } from '../abi/layout.ts';
import { XENMAPIDX_grant_table_status } from '../abi/memory.ts';
import { type Call, type Caller, type CallResult, defineHypercall } from '../define.ts';
import type { XenDomain } from '../domain.ts';
import { isNumbered, isSelf, notMine } from '../domid.ts';
import { copyGranted } from '../grant-copy.ts';
import { GRANT_FRAMES_MAX, grantFrame, STATUS_FRAMES_MAX } from '../grant-frames.ts';
import { mapGranted, unmapGranted } from '../grant-maps.ts';
import { setVersion, swapEntries } from '../grant-version.ts';

const PAGE_BYTES = 4096;
/** Elements done before events are looked at. */
const ELEMENTS_PER_TURN = 32;

type Args = Readonly<Record<string, number>>;
type UnmapArgument = StructValue<(typeof abi.gnttabUnmapGrantRef)['wide']['fields']>;
type ReplaceArgument = StructValue<(typeof abi.gnttabUnmapAndReplace)['wide']['fields']>;

/** An array of arguments, each with a status of its own; the call itself fails only for memory that is not there. */
function each<F extends XenFields>(
  type: XenStruct<F>,
  act: (call: Call, arg: NonNullable<ReturnType<Call['guest']['read']>>, at: number) => number,
) {
  return (call: Call, uop: number, args: Args): CallResult => {
    const count = args.count!;
    const bytes = call.guest.sizeOf(type);
    for (let n = 0; n < count; n++) {
      const at = uop + n * bytes;
      if (n === ELEMENTS_PER_TURN) return call.continueLater({ uop: at, count: count - n });
      const arg = call.guest.read(type, at);
      if (!arg) return -EFAULT;
      const status = act(call, arg as never, at);
      if (!call.guest.write(type, at, { status } as never)) return -EFAULT;
    }
    return 0;
  };
}

/** One argument, whatever the count says beyond it. */
const one =
  (act: (call: Call, uop: number) => number) =>
  (call: Call, uop: number, args: Args): number =>
    args.count === 1 ? act(call, uop) : -EINVAL;

/** Xen 4.17 has not looked through the others for guests of translated memory (arch/x86/hvm/hypercall.c, hvm_grant_table_op). */
const PV_ONLY: readonly Caller[] = ['pv64', 'pv32'];

export const grantTableOp = defineHypercall({
  number: 20,
  name: 'grant_table_op',
  ref: 'grant_table.h',
  callers: ['pv64', 'pv32', 'hvm'],
  inPlace: true,
  args: { cmd: 'u32', uop: 'gva', count: 'u32' },
  subOperations: {
    [abi.GNTTABOP_map_grant_ref]: {
      name: 'GNTTABOP_map_grant_ref',
      handle: each(abi.gnttabMapGrantRef, ({ domain, guest }, arg, at) => {
        const { dom, flags } = arg as { dom: number; flags: number };
        if ((flags & (abi.GNTMAP_device_map | abi.GNTMAP_host_map)) === 0)
          return abi.GNTST_bad_gntref;
        if (!isNumbered(domain, dom)) return abi.GNTST_bad_domain;
        // The control domain gives none.
        if (dom !== domain.id) return abi.GNTST_bad_gntref;
        const mapped = mapGranted(domain, arg as never);
        if (typeof mapped === 'number') return mapped;
        return guest.write(abi.gnttabMapGrantRef, at, mapped as never)
          ? abi.GNTST_okay
          : abi.GNTST_general_error;
      }),
    },
    [abi.GNTTABOP_unmap_grant_ref]: {
      name: 'GNTTABOP_unmap_grant_ref',
      handle: each(abi.gnttabUnmapGrantRef, ({ domain }, arg) => {
        const { handle, host_addr, dev_bus_addr } = arg as unknown as UnmapArgument;
        return unmapGranted(domain, handle, { host: host_addr, bus: dev_bus_addr });
      }),
    },
    [abi.GNTTABOP_setup_table]: { name: 'GNTTABOP_setup_table', handle: one(setupTable) },
    [abi.GNTTABOP_dump_table]: {
      name: 'GNTTABOP_dump_table',
      refuse: [-ENOSYS, 'Xen has it in builds for debugging only'],
    },
    [abi.GNTTABOP_transfer]: {
      name: 'GNTTABOP_transfer',
      callers: PV_ONLY,
      handle: each(abi.gnttabTransfer, ({ domain }, arg) => {
        const { domid } = arg as { domid: number };
        return isNumbered(domain, domid) ? abi.GNTST_general_error : abi.GNTST_bad_domain;
      }),
    },
    [abi.GNTTABOP_copy]: {
      name: 'GNTTABOP_copy',
      handle: each(abi.gnttabCopy, ({ domain }, arg) => copyGranted(domain, arg as never)),
    },
    [abi.GNTTABOP_query_size]: { name: 'GNTTABOP_query_size', handle: one(querySize) },
    [abi.GNTTABOP_unmap_and_replace]: {
      name: 'GNTTABOP_unmap_and_replace',
      callers: PV_ONLY,
      handle: each(abi.gnttabUnmapAndReplace, ({ domain }, arg) => {
        const { handle, host_addr, new_addr } = arg as unknown as ReplaceArgument;
        return unmapGranted(domain, handle, { host: host_addr, instead: new_addr });
      }),
    },
    [abi.GNTTABOP_set_version]: { name: 'GNTTABOP_set_version', handle: one(changeVersion) },
    [abi.GNTTABOP_get_status_frames]: {
      name: 'GNTTABOP_get_status_frames',
      callers: PV_ONLY,
      handle: one(statusFrames),
    },
    [abi.GNTTABOP_get_version]: { name: 'GNTTABOP_get_version', handle: getVersion },
    [abi.GNTTABOP_swap_grant_ref]: {
      name: 'GNTTABOP_swap_grant_ref',
      handle: each(abi.gnttabSwapGrantRef, ({ domain }, arg) => {
        const { ref_a, ref_b } = arg as { ref_a: number; ref_b: number };
        return swapEntries(domain, ref_a, ref_b);
      }),
    },
    [abi.GNTTABOP_cache_flush]: {
      name: 'GNTTABOP_cache_flush',
      callers: PV_ONLY,
      handle: cacheFlush,
    },
  },
});

/** Another domain's table may be looked at by its toolstack only. */
function statusFor(domain: XenDomain, domid: number): number {
  if (isSelf(domain, domid)) return abi.GNTST_okay;
  return isNumbered(domain, domid) ? abi.GNTST_permission_denied : abi.GNTST_bad_domain;
}

function setupTable({ domain, guest, wide }: Call, at: number): number {
  const arg = guest.read(abi.gnttabSetupTable, at);
  if (!arg) return -EFAULT;
  let status = statusFor(domain, arg.dom);
  if (status === abi.GNTST_okay && arg.nr_frames > GRANT_FRAMES_MAX)
    status = abi.GNTST_general_error;
  for (let n = 0; n < arg.nr_frames && status === abi.GNTST_okay; n++) {
    const frame = grantFrame(domain, n);
    if (frame < 0) status = abi.GNTST_general_error;
    else if (!guest.putUlong(arg.frame_list + n * (wide ? 8 : 4), domain.guest.frameNumber(frame)))
      return -EFAULT;
  }
  return guest.write(abi.gnttabSetupTable, at, { status }) ? 0 : -EFAULT;
}

function statusFrames({ domain, guest }: Call, at: number): number {
  const arg = guest.read(abi.gnttabGetStatusFrames, at);
  if (!arg) return -EFAULT;
  let status = statusFor(domain, arg.dom);
  const { version } = domain.state.grants;
  if (status === abi.GNTST_okay && (version !== 2 || arg.nr_frames > STATUS_FRAMES_MAX))
    status = abi.GNTST_general_error;
  for (let n = 0; n < arg.nr_frames && status === abi.GNTST_okay; n++) {
    const frame = grantFrame(domain, XENMAPIDX_grant_table_status + n);
    if (frame < 0) status = abi.GNTST_general_error;
    else {
      const number = domain.guest.frameNumber(frame);
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setUint32(0, number, true);
      if (!guest.put(arg.frame_list + n * 8, bytes)) return -EFAULT;
    }
  }
  return guest.write(abi.gnttabGetStatusFrames, at, { status }) ? 0 : -EFAULT;
}

function querySize({ domain, guest }: Call, at: number): number {
  const arg = guest.read(abi.gnttabQuerySize, at);
  if (!arg) return -EFAULT;
  const status = statusFor(domain, arg.dom);
  const sizes = { nr_frames: domain.state.grants.frames.length, max_nr_frames: GRANT_FRAMES_MAX };
  const patch = status === abi.GNTST_okay ? { ...sizes, status } : { status };
  return guest.write(abi.gnttabQuerySize, at, patch) ? 0 : -EFAULT;
}

/** The version that is in force comes back, whatever the result. */
function changeVersion({ domain, guest }: Call, at: number): number {
  const arg = guest.read(abi.gnttabSetVersion, at);
  if (!arg) return -EFAULT;
  const result = setVersion(domain, arg.version);
  const { version } = domain.state.grants;
  return guest.write(abi.gnttabSetVersion, at, { version }) ? result : -EFAULT;
}

function getVersion({ domain, guest }: Call, at: number): number {
  const arg = guest.read(abi.gnttabGetVersion, at);
  if (!arg) return -EFAULT;
  const error = notMine(domain, arg.dom);
  if (error) return error;
  const { version } = domain.state.grants;
  return guest.write(abi.gnttabGetVersion, at, { version }) ? 0 : -EFAULT;
}

/** Nothing to do is no error; what there is to do needs no doing on x86, and is refused. The frame must be there first. */
function cacheFlush({ domain, guest }: Call, uop: number, args: Args): number {
  const bytes = guest.sizeOf(abi.gnttabCacheFlush);
  for (let n = 0; n < args.count!; n++) {
    const arg = guest.read(abi.gnttabCacheFlush, uop + n * bytes);
    if (!arg) return -EFAULT;
    if (arg.offset + arg.length > PAGE_BYTES) return -EINVAL;
    if (arg.length === 0 || arg.op === 0) continue;
    if (arg.op & abi.GNTTAB_CACHE_SOURCE_GREF) return -EOPNOTSUPP;
    const frame = arg.dev_bus_addr.hi * 2 ** 20 + (arg.dev_bus_addr.lo >>> 12);
    return domain.guest.frameAddress(frame) < 0 ? -EPERM : -EOPNOTSUPP;
  }
  return 0;
}
