// Reads news until the server closes the socket, and says with which code it did. `ACCESS` is an access token.
import { WebSocket } from 'ws';

const { SERVER = 'http://localhost:4000', ACCESS } = process.env;

const answer = await fetch(`${SERVER}/tickets`, {
  method: 'POST',
  headers: { authorization: `Bearer ${ACCESS}` },
});
if (!answer.ok) throw new Error(`no ticket: ${answer.status}`);
const { ticket } = await answer.json();

const socket = new WebSocket(`${SERVER.replace('http', 'ws')}/news`);
socket.once('open', () => socket.send(ticket));
socket.on('message', (text) => console.log(String(text)));
socket.once('close', (code) => console.log(`closed: ${code}`));
