// GNTTABOP_copy: bytes from one frame to another, each the caller's own or granted to it.

import type { StructValue } from '../../base/struct.ts';
import * as abi from './abi/grant-table.ts';
import { DOMID_SELF } from './abi/xen.ts';
import type { XenDomain } from './domain.ts';
import { readGrant } from './grants.ts';

const PAGE_BYTES = 4096;
type CopyArgument = StructValue<(typeof abi.gnttabCopy)['wide']['fields']>;
interface End {
  readonly frame: number;
  readonly domid: number;
  readonly offset: number;
}

/** Answers a GNTST_*. Nothing is copied unless all of it may be. */
export function copyGranted(domain: XenDomain, arg: CopyArgument): number {
  const { source, dest, len, flags } = arg;
  if (source.offset + len > PAGE_BYTES || dest.offset + len > PAGE_BYTES)
    return abi.GNTST_bad_copy_arg;
  const from = locate(domain, source, (flags & abi.GNTCOPY_source_gref) !== 0, len, false);
  if (from < 0) return from;
  const to = locate(domain, dest, (flags & abi.GNTCOPY_dest_gref) !== 0, len, true);
  if (to < 0) return to;
  const { ram } = domain.platform;
  const bytes = ram.read(from, len);
  return bytes && ram.write(to, bytes) ? abi.GNTST_okay : abi.GNTST_general_error;
}

/** RAM address of the bytes, or a GNTST_* below zero. */
function locate(domain: XenDomain, end: End, byRef: boolean, len: number, write: boolean): number {
  const self = end.domid === DOMID_SELF || end.domid === domain.id;
  if (!byRef) {
    // Frames by number are one's own only.
    if (!self) return end.domid === 0 ? abi.GNTST_permission_denied : abi.GNTST_bad_domain;
    const page = domain.guest.frameAddress(end.frame);
    return page < 0 ? abi.GNTST_bad_page : page + end.offset;
  }
  if (!self) return end.domid === 0 ? abi.GNTST_bad_gntref : abi.GNTST_bad_domain;
  const grant = readGrant(domain, end.frame % 2 ** 32, domain.id);
  if (!grant) return abi.GNTST_bad_gntref;
  if (write && grant.readonly) return abi.GNTST_general_error;
  if (end.offset < grant.from || end.offset + len > grant.from + grant.bytes)
    return abi.GNTST_general_error;
  const page = domain.guest.frameAddress(grant.frame);
  return page < 0 ? abi.GNTST_bad_page : page + end.offset;
}
