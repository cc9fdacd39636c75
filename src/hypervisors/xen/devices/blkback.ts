// Block back end: a disk of the run behind a guest's xvda, each request done at a modelled guest time.

import type { Timer } from '../../../machine/clock.ts';
import { type Disk, diskNanos, SECTOR_BYTES } from '../../../machine/disk.ts';
import { logOnce, type XenDomain } from '../domain.ts';
import { bindHost, raise, unbindHost } from '../events.ts';
import { grantedPage, mapGrant, unmapGrant } from '../grants.ts';
import type { Store } from '../store/store.ts';
import { type BackRing, finalCheck, freshRing, putResponse, takeRequest } from './back-ring.ts';
import * as blkif from './blkif.ts';
import { type Backend, createBackend } from './xenbus.ts';

const PAGE_BYTES = 4096;
const SECTORS_PER_PAGE = PAGE_BYTES / SECTOR_BYTES;
/** Segments of an indirect request, as Linux's back end offers. */
const INDIRECT_SEGMENTS_MAX = 256;
const RING_ORDER_MAX = 4;
/** xvda and its neighbours: major 202, sixteen minors a disk (docs/man/xen-vbd-interface.7). */
const XVD_MAJOR = 202;
const MINORS = 16;
/** VDISK_READONLY (blkif.h). */
const INFO_READONLY = 4;

interface BlkState {
  connected: boolean;
  protocol: string;
  port: number;
  refs: number[];
  ring: BackRing;
  /** The request under way; empty if there is none. */
  request: Uint8Array[];
}

interface Blk {
  readonly domain: XenDomain;
  readonly disk: Disk;
  readonly end: string;
  readonly state: BlkState;
  readonly timer: Timer;
}

export function blockDevice(domain: XenDomain, store: Store, disk: Disk, n: number): Backend {
  const id = (XVD_MAJOR << 8) + n * MINORS;
  const name = `xvd${String.fromCharCode(97 + n)}`;
  const end = `vbd/${id}`;
  const state: BlkState = {
    connected: false,
    protocol: 'x86_64-abi',
    port: 0,
    refs: [],
    ring: freshRing(),
    request: [],
  };
  const timer = domain.platform.clock.timer(`xen.${end}`, () => complete(blk));
  const blk: Blk = { domain, disk, end, state, timer };
  domain.platform.snapshots.addState(`xen.${end}`, state);
  domain.platform.snapshots.add(`disk.${end}`, disk);
  domain.ends.set(end, () => kick(blk));
  return createBackend(domain, store, {
    type: 'vbd',
    id,
    backend: {
      dev: name,
      // Which backing device it is, in words of the toolstack's (blkif.h, params). A path would differ from host to host.
      params: name,
      type: 'phy',
      mode: disk.readOnly ? 'r' : 'w',
      removable: '0',
      bootable: n === 0 ? '1' : '0',
      'feature-flush-cache': '1',
      'feature-barrier': '1',
      'feature-max-indirect-segments': String(INDIRECT_SEGMENTS_MAX),
      'max-ring-page-order': String(RING_ORDER_MAX),
    },
    frontend: { 'virtual-device': String(id), 'device-type': 'disk' },
    connect: (front) => connect(blk, front),
    connected: () => ({
      sectors: String(disk.sectors),
      info: String(disk.readOnly ? INFO_READONLY : 0),
      'sector-size': String(SECTOR_BYTES),
      'physical-sector-size': String(SECTOR_BYTES),
    }),
    disconnect: () => disconnect(blk),
  });
}

function connect(blk: Blk, front: (name: string) => string): boolean {
  const { domain, state, end } = blk;
  disconnect(blk);
  const protocol = front('protocol') || 'x86_64-abi';
  const layout = blkif.BLKIF_LAYOUTS[protocol];
  const order = Number(front('ring-page-order') || '0');
  const port = Number(front('event-channel'));
  if (!layout || !(order >= 0 && order <= RING_ORDER_MAX)) return false;
  const names =
    front('ring-page-order') === ''
      ? ['ring-ref']
      : Array.from({ length: 1 << order }, (_, n) => `ring-ref${n}`);
  const refs = names.map((name) => Number(front(name) || '-1'));
  const pages = refs.map((ref) => mapGrant(domain, ref));
  const bound = pages.every((page) => page >= 0) && bindHost(domain, port, end);
  if (!bound) {
    refs.forEach((ref, n) => {
      if (pages[n]! >= 0) unmapGrant(domain, ref);
    });
    return false;
  }
  Object.assign(state.ring, { ...freshRing(), pages, entryBytes: layout.entryBytes });
  Object.assign(state, { connected: true, protocol, port, refs });
  kick(blk);
  return true;
}

function disconnect({ domain, state, end, timer }: Blk): void {
  if (!state.connected) return;
  timer.cancel();
  for (const ref of state.refs) unmapGrant(domain, ref);
  unbindHost(domain, state.port, end);
  Object.assign(state.ring, freshRing());
  Object.assign(state, { connected: false, port: 0, refs: [], request: [] });
}

/** One request at a time: however many the guest submits, a notification costs one. */
function kick(blk: Blk): void {
  const { domain, state, timer } = blk;
  if (!state.connected || state.request.length > 0) return;
  const { ram, clock } = domain.platform;
  const bytes =
    takeRequest(ram, state.ring) ??
    (finalCheck(ram, state.ring) ? takeRequest(ram, state.ring) : null);
  if (!bytes) return;
  state.request = [bytes];
  const { count } = blkif.parseRequest(bytes, layoutOf(state));
  timer.set(clock.now() + diskNanos(Math.min(count, INDIRECT_SEGMENTS_MAX) * PAGE_BYTES));
}

function complete(blk: Blk): void {
  const { domain, state } = blk;
  const [bytes] = state.request;
  state.request = [];
  if (!bytes || !state.connected) return;
  const request = blkif.parseRequest(bytes, layoutOf(state));
  const status = perform(blk, request);
  if (putResponse(domain.platform.ram, state.ring, blkif.blkifResponse(request, status))) {
    raise(domain, state.port);
  }
  kick(blk);
}

const layoutOf = ({ protocol }: BlkState): blkif.BlkifLayout => blkif.BLKIF_LAYOUTS[protocol]!;

function perform(blk: Blk, request: blkif.BlkifRequest): number {
  switch (request.action) {
    case blkif.BLKIF_OP_READ:
    case blkif.BLKIF_OP_WRITE:
      return transfer(blk, request);
    case blkif.BLKIF_OP_WRITE_BARRIER:
    case blkif.BLKIF_OP_FLUSH_DISKCACHE: {
      // Requests are done in order, so a barrier is a flush; either may carry data.
      if (request.operation === blkif.BLKIF_OP_INDIRECT) return blkif.BLKIF_RSP_ERROR;
      const status = request.count > 0 ? transfer(blk, request) : blkif.BLKIF_RSP_OKAY;
      if (status === blkif.BLKIF_RSP_OKAY) blk.disk.flush();
      return status;
    }
    default:
      logOnce(blk.domain, `${blk.end}: operation ${request.action} is not offered`);
      return blkif.BLKIF_RSP_EOPNOTSUPP;
  }
}

/** All segments are looked at before the first byte moves. */
function transfer({ domain, disk }: Blk, request: blkif.BlkifRequest): number {
  const writes = request.action !== blkif.BLKIF_OP_READ;
  const segments = segmentsOf(domain, request);
  if (!segments || (writes && disk.readOnly)) return blkif.BLKIF_RSP_ERROR;
  const pieces: { address: number; bytes: number }[] = [];
  let sectors = 0;
  for (const { ref, first, last } of segments) {
    if (last < first || last >= SECTORS_PER_PAGE) return blkif.BLKIF_RSP_ERROR;
    // What the disk reads goes into the guest's frame.
    const page = grantedPage(domain, ref, !writes);
    if (page < 0) return blkif.BLKIF_RSP_ERROR;
    pieces.push({ address: page + first * SECTOR_BYTES, bytes: (last - first + 1) * SECTOR_BYTES });
    sectors += last - first + 1;
  }
  if (request.sector + sectors > disk.sectors) return blkif.BLKIF_RSP_ERROR;
  const data = new Uint8Array(sectors * SECTOR_BYTES);
  const { ram } = domain.platform;
  if (!writes && !disk.read(request.sector, data)) return blkif.BLKIF_RSP_ERROR;
  let at = 0;
  for (const { address, bytes } of pieces) {
    if (writes) data.set(ram.view(address, bytes)!, at);
    else ram.write(address, data.subarray(at, at + bytes));
    at += bytes;
  }
  if (writes && !disk.write(request.sector, data)) return blkif.BLKIF_RSP_ERROR;
  return blkif.BLKIF_RSP_OKAY;
}

/** Null: more segments than offered, or a frame of them that is not granted. */
function segmentsOf(
  domain: XenDomain,
  request: blkif.BlkifRequest,
): readonly blkif.BlkifSegment[] | null {
  const { operation, count, segments, indirect } = request;
  if (operation !== blkif.BLKIF_OP_INDIRECT) {
    return count === segments.length && count > 0 ? segments : null;
  }
  if (count === 0 || count > INDIRECT_SEGMENTS_MAX) return null;
  const out: blkif.BlkifSegment[] = [];
  for (let n = 0; n < count; n++) {
    const page = grantedPage(domain, indirect[Math.floor(n / blkif.SEGMENTS_PER_PAGE)]!, false);
    const bytes =
      page < 0 ? null : domain.platform.ram.read(page + (n % blkif.SEGMENTS_PER_PAGE) * 8, 8);
    if (!bytes) return null;
    out.push(blkif.parseSegment(new DataView(bytes.buffer), 0));
  }
  return out;
}
