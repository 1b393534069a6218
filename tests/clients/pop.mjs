// node-pop3 as a program that remembers UIDLs: order from stdin, result to stdout.
import Pop3Command from "node-pop3";

let text = "";
for await (const piece of process.stdin) text += piece;
const order = JSON.parse(text);
const pop = new Pop3Command({
  user: order.user, password: order.password, host: "localhost", port: order.port, tls: true, timeout: 20000,
  tlsOptions: { ca: order.ca },
});
const got = [];
const seen = new Set(order.seen);
for (const [number, uidl] of await pop.UIDL()) {
  if (!seen.has(uidl)) got.push({ uidl, message: Buffer.from(await pop.RETR(number)).toString("base64") });
  if (order.delete) await pop.DELE(number);
}
await pop.QUIT();
process.stdout.write(JSON.stringify(got));
