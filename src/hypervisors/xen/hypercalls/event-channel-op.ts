// event_channel_op: opens, binds, closes and signals ports, and chooses the ABI that carries their bits.

import {
  EACCES,
  EBUSY,
  EEXIST,
  EFAULT,
  EINVAL,
  ENOENT,
  ENOSYS,
  EOPNOTSUPP,
  EPERM,
  ESRCH,
} from '../abi/errno.ts';
import * as abi from '../abi/event-channel.ts';
import {
  DOMID_CONTROL,
  DOMID_SELF,
  NR_PIRQS,
  NR_VIRQS,
  VIRQ_DEBUG,
  VIRQ_TIMER,
  VIRQ_XENOPROF,
  VIRQ_XENPMU,
} from '../abi/xen.ts';
import { type Call, defineHypercall } from '../define.ts';
import { type Channel, vcpuOf } from '../domain.ts';
import { isSelf, notMine } from '../domid.ts';
import {
  channelAt,
  closeAllPorts,
  closePort,
  hasPort,
  openPort,
  raise,
  send,
  unmask,
} from '../events.ts';
import { addEventPage, initFifo } from '../events-control.ts';

/** Virtual IRQs that each vCPU has for itself; the others are the domain's, and are bound on vCPU 0 (xen.h). */
const PER_VCPU_VIRQS: ReadonlySet<number> = new Set([
  VIRQ_TIMER,
  VIRQ_DEBUG,
  VIRQ_XENOPROF,
  VIRQ_XENPMU,
]);

export const eventChannelOp = defineHypercall({
  number: 32,
  name: 'event_channel_op',
  ref: 'event_channel.h',
  callers: ['pv64', 'pv32', 'hvm'],
  inPlace: true,
  args: { cmd: 's32', arg: 'gva' },
  subOperations: {
    [abi.EVTCHNOP_bind_interdomain]: { name: 'EVTCHNOP_bind_interdomain', handle: bindInterdomain },
    [abi.EVTCHNOP_bind_virq]: { name: 'EVTCHNOP_bind_virq', handle: bindVirq },
    [abi.EVTCHNOP_bind_pirq]: {
      name: 'EVTCHNOP_bind_pirq',
      first: namesPirq,
      refuse: [-EPERM, 'the domain has no physical interrupt'],
    },
    [abi.EVTCHNOP_close]: { name: 'EVTCHNOP_close', handle: close },
    [abi.EVTCHNOP_send]: { name: 'EVTCHNOP_send', handle: sendTo },
    [abi.EVTCHNOP_status]: { name: 'EVTCHNOP_status', handle: status },
    [abi.EVTCHNOP_alloc_unbound]: { name: 'EVTCHNOP_alloc_unbound', handle: allocUnbound },
    [abi.EVTCHNOP_bind_ipi]: { name: 'EVTCHNOP_bind_ipi', handle: bindIpi },
    [abi.EVTCHNOP_bind_vcpu]: { name: 'EVTCHNOP_bind_vcpu', handle: bindVcpu },
    [abi.EVTCHNOP_unmask]: { name: 'EVTCHNOP_unmask', handle: unmaskPort },
    [abi.EVTCHNOP_reset]: { name: 'EVTCHNOP_reset', handle: reset },
    [abi.EVTCHNOP_init_control]: { name: 'EVTCHNOP_init_control', handle: initControl },
    [abi.EVTCHNOP_expand_array]: { name: 'EVTCHNOP_expand_array', handle: expandArray },
    [abi.EVTCHNOP_reset_cont]: { name: 'EVTCHNOP_reset_cont', handle: resetMore },
    [abi.EVTCHNOP_set_priority]: { name: 'EVTCHNOP_set_priority', handle: setPriority },
  },
});

function allocUnbound({ domain, guest }: Call, at: number): number {
  const arg = guest.read(abi.evtchnAllocUnbound, at);
  if (!arg) return -EFAULT;
  const error = notMine(domain, arg.dom);
  if (error) return error;
  const remoteDom = arg.remote_dom === DOMID_SELF ? domain.id : arg.remote_dom;
  const port = openPort(domain, { status: abi.EVTCHNSTAT_unbound, remoteDom });
  if (port < 0) return port;
  return guest.write(abi.evtchnAllocUnbound, at, { port }) ? 0 : -EFAULT;
}

/** The only other domain is the host, whose ends are open from the start: a guest binds to ports of its own. */
function bindInterdomain({ domain, guest, vcpu }: Call, at: number): number {
  const arg = guest.read(abi.evtchnBindInterdomain, at);
  if (!arg) return -EFAULT;
  if (!isSelf(domain, arg.remote_dom)) return arg.remote_dom === DOMID_CONTROL ? -EINVAL : -ESRCH;
  const remote = channelAt(domain, arg.remote_port);
  if (remote?.status !== abi.EVTCHNSTAT_unbound || remote.remoteDom !== domain.id) return -EINVAL;
  const remotePort = arg.remote_port;
  const port = openPort(domain, {
    status: abi.EVTCHNSTAT_interdomain,
    remoteDom: domain.id,
    remotePort,
    vcpu: vcpu.id,
  });
  if (port < 0) return port;
  remote.status = abi.EVTCHNSTAT_interdomain;
  remote.remotePort = port;
  // Whoever waits at the new end learns of what was sent before it was bound.
  raise(domain, port);
  return guest.write(abi.evtchnBindInterdomain, at, { local_port: port }) ? 0 : -EFAULT;
}

function bindVirq({ domain, guest }: Call, at: number): number {
  const arg = guest.read(abi.evtchnBindVirq, at);
  if (!arg) return -EFAULT;
  const { virq, vcpu } = arg;
  if (virq >= NR_VIRQS) return -EINVAL;
  // Anybody may bind those of the control domain, and hears nothing.
  if (!PER_VCPU_VIRQS.has(virq) && vcpu !== 0) return -EINVAL;
  const target = vcpuOf(domain, vcpu);
  if (!target) return -ENOENT;
  if (target.state.virqPorts[virq] !== 0) return -EEXIST;
  const port = openPort(domain, { status: abi.EVTCHNSTAT_virq, virq, vcpu });
  if (port < 0) return port;
  target.state.virqPorts[virq] = port;
  return guest.write(abi.evtchnBindVirq, at, { port }) ? 0 : -EFAULT;
}

function bindIpi({ domain, guest }: Call, at: number): number {
  const arg = guest.read(abi.evtchnBindIpi, at);
  if (!arg) return -EFAULT;
  if (!vcpuOf(domain, arg.vcpu)) return -ENOENT;
  const port = openPort(domain, { status: abi.EVTCHNSTAT_ipi, vcpu: arg.vcpu });
  if (port < 0) return port;
  return guest.write(abi.evtchnBindIpi, at, { port }) ? 0 : -EFAULT;
}

/** The channel that a call names by its first member. */
function named({ domain, guest }: Call, at: number): { port: number; channel: Channel } | number {
  const arg = guest.read(abi.evtchnPort, at);
  if (!arg) return -EFAULT;
  const channel = channelAt(domain, arg.port);
  return channel ? { port: arg.port, channel } : -EINVAL;
}

function close(call: Call, at: number): number {
  const found = named(call, at);
  if (typeof found === 'number') return found;
  closePort(call.domain, found.port);
  return 0;
}

/** The most frequent of them: no object is made for what it reads. */
function sendTo({ domain, guest }: Call, at: number): number {
  const port = guest.u32(at);
  if (port === null) return -EFAULT;
  const channel = channelAt(domain, port);
  if (!channel) return -EINVAL;
  const { status: kind } = channel;
  // Into a port that nobody has bound yet a send goes nowhere, and is no error.
  if (kind === abi.EVTCHNSTAT_unbound) return 0;
  if (kind !== abi.EVTCHNSTAT_interdomain && kind !== abi.EVTCHNSTAT_ipi) return -EINVAL;
  send(domain, port, channel);
  return 0;
}

/** Also of a port that nobody has opened. */
function unmaskPort({ domain, guest }: Call, at: number): number {
  const arg = guest.read(abi.evtchnPort, at);
  if (!arg) return -EFAULT;
  if (!hasPort(domain, arg.port)) return -EINVAL;
  unmask(domain, arg.port);
  return 0;
}

function namesPirq({ guest }: Call, at: number): number {
  const arg = guest.read(abi.evtchnBindPirq, at);
  if (!arg) return -EFAULT;
  return arg.pirq < NR_PIRQS ? 0 : -EINVAL;
}

function bindVcpu({ domain, guest }: Call, at: number): number {
  const arg = guest.read(abi.evtchnBindVcpu, at);
  if (!arg) return -EFAULT;
  if (!vcpuOf(domain, arg.vcpu)) return -ENOENT;
  const channel = channelAt(domain, arg.port);
  if (!channel) return -EINVAL;
  if (channel.status === abi.EVTCHNSTAT_ipi) return -EINVAL;
  if (channel.status === abi.EVTCHNSTAT_virq && PER_VCPU_VIRQS.has(channel.virq)) return -EINVAL;
  channel.vcpu = arg.vcpu;
  return 0;
}

function status({ domain, guest }: Call, at: number): number {
  const arg = guest.read(abi.evtchnStatus, at);
  if (!arg) return -EFAULT;
  const error = notMine(domain, arg.dom);
  if (error) return error;
  if (!hasPort(domain, arg.port)) return -EINVAL;
  const channel = channelAt(domain, arg.port);
  const patch = {
    status: channel?.status ?? abi.EVTCHNSTAT_closed,
    vcpu: channel?.vcpu ?? 0,
    u: target(channel),
  };
  return guest.write(abi.evtchnStatus, at, patch) ? 0 : -EFAULT;
}

/** The union of evtchn_status. */
function target(channel: Channel | null): readonly [number, number] {
  switch (channel?.status) {
    case abi.EVTCHNSTAT_unbound:
      return [channel.remoteDom, 0];
    case abi.EVTCHNSTAT_interdomain:
      return [channel.remoteDom, channel.remotePort];
    case abi.EVTCHNSTAT_virq:
      return [channel.virq, 0];
    default:
      return [0, 0];
  }
}

function reset({ domain, guest }: Call, at: number): number {
  const arg = guest.read(abi.evtchnReset, at);
  if (!arg) return -EFAULT;
  const error = notMine(domain, arg.dom);
  if (error) return error;
  closeAllPorts(domain);
  return 0;
}

/** How Xen goes on with a reset; there is none under way. */
function resetMore({ domain, guest }: Call, at: number): number {
  const arg = guest.read(abi.evtchnReset, at);
  if (!arg) return -EFAULT;
  return notMine(domain, arg.dom) || -EBUSY;
}

function initControl({ domain, guest }: Call, at: number): number {
  const arg = guest.read(abi.evtchnInitControl, at);
  if (!arg) return -EFAULT;
  const vcpu = vcpuOf(domain, arg.vcpu);
  if (!vcpu) return -ENOENT;
  const error = initFifo(domain, vcpu, arg.control_gfn, arg.offset);
  if (error) return error;
  return guest.write(abi.evtchnInitControl, at, { link_bits: abi.EVTCHN_FIFO_LINK_BITS })
    ? 0
    : -EFAULT;
}

function expandArray({ domain, guest }: Call, at: number): number {
  const arg = guest.read(abi.evtchnExpandArray, at);
  if (!arg) return -EFAULT;
  if (!domain.state.fifo) return -EOPNOTSUPP;
  return addEventPage(domain, arg.array_gfn);
}

function setPriority({ domain, guest }: Call, at: number): number {
  const arg = guest.read(abi.evtchnSetPriority, at);
  if (!arg) return -EFAULT;
  if (!hasPort(domain, arg.port)) return -EINVAL;
  if (!domain.state.fifo) return -ENOSYS;
  const channel = channelAt(domain, arg.port);
  if (!channel) return -EACCES;
  if (arg.priority >= abi.EVTCHN_FIFO_MAX_QUEUES) return -EINVAL;
  channel.priority = arg.priority;
  return 0;
}
