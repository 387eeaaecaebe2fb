// Unpacks the page's script; its hash is in the policy, too.
const unpack = id => new Response(new Blob([
  Uint8Array.from(atob(document.getElementById(id).textContent), c => c.charCodeAt()),
]).stream().pipeThrough(new DecompressionStream("deflate-raw")));
unpack("code").text().then(text => {
  const script = document.createElement("script");
  script.textContent = text;
  document.body.append(script);
}).catch(() => {
  document.getElementById("facts").textContent = "This browser is too old for this page.";
});
