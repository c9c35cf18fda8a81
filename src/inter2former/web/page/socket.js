// @ts-check

const PROTOCOL = 1;
const LONGEST_WAIT = 5000;

/** The conversation with the server: numbered moves out, messages in, and a new try when it breaks off. */
export class Connection extends EventTarget {
  /** @param {string} token */
  constructor(token) {
    super();
    this.token = token;
    this.open = false;
    this.unsaved = 0;
    this._number = 0;
    this._wait = 250;
    /** @type {WebSocket|null} */
    this._socket = null;
    /** @type {Map<number, {resolve: (saved: boolean) => void, reject: (error: Error) => void}>} */
    this._moves = new Map();
    this._connect();
  }

  /**
   * Send a move; settles when the server has done or refused it.
   * @param {string} type @param {Object} values @returns {Promise<boolean>} whether it is on the disk
   */
  move(type, values = {}) {
    if (!this.open || !this._socket) return Promise.reject(new Error('There is no connection to the server.'));
    const id = ++this._number;
    this._socket.send(JSON.stringify({id, type, ...values}));
    this.unsaved++;
    this._tell('moves');
    return new Promise((resolve, reject) => this._moves.set(id, {resolve, reject}));
  }

  /** @param {string} path @param {RequestInit} options @returns {Promise<Response>} */
  fetch(path, options = {}) {
    return fetch(path, {...options, headers: {Authorization: `Bearer ${this.token}`}});
  }

  _connect() {
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    const socket = new WebSocket(`${scheme}://${location.host}/api/v1/socket?token=${encodeURIComponent(this.token)}`);
    socket.binaryType = 'arraybuffer';
    socket.onmessage = (event) => this._receive(event.data);
    socket.onclose = (event) => this._lost(event);
    this._socket = socket;
  }

  /** @param {CloseEvent} event */
  _lost(event) {
    this.open = false;
    for (const move of this._moves.values()) move.reject(new Error('The connection broke off.'));
    this._moves.clear();
    this.unsaved = 0;
    this._tell('lost', {reason: event.reason});
    setTimeout(() => this._connect(), this._wait);
    this._wait = Math.min(this._wait * 2, LONGEST_WAIT);
  }

  /** @param {string|ArrayBuffer} data */
  _receive(data) {
    let message, payload = new Uint8Array(0);
    if (typeof data === 'string') message = JSON.parse(data);
    else {
      const length = new DataView(data).getUint32(0, true);
      message = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
      payload = new Uint8Array(data, 4 + length);
    }
    if (message.type === 'hello') {
      if (message.protocol !== PROTOCOL) {
        this._tell('outdated');
        return;
      }
      this.open = true;
      this._wait = 250;
    }
    if (message.type === 'done' || message.type === 'refused') {
      const move = this._moves.get(message.id);
      this._moves.delete(message.id);
      this.unsaved = this._moves.size;
      if (message.type === 'done') move?.resolve(message.saved);
      else move?.reject(new Error(message.why));
      this._tell('moves', {saved: message.type === 'done' && message.saved});
      return;
    }
    this._tell('message', {message, payload});
  }

  /** @param {string} name @param {Object} detail */
  _tell(name, detail = {}) {
    this.dispatchEvent(new CustomEvent(name, {detail}));
  }
}
