// Who in the machine passes a request of the user's on to the guest: the interface, where it has a way to ask.

export class RequestEnd {
  private handler: (what: string) => void = () => {};

  connect(handler: (what: string) => void): void {
    this.handler = handler;
  }

  take(what: string): void {
    this.handler(what);
  }
}
