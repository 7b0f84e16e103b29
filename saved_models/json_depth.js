// Passes a REST request to the server if its JSON is not nested too deep. A request to this model needs five levels.
const MAX_DEPTH = 32;
const QUOTE = 34, BACKSLASH = 92, LEFT_BRACKET = 91, RIGHT_BRACKET = 93, LEFT_BRACE = 123, RIGHT_BRACE = 125;

function check(r) {
  // The server decompresses bodies, so a compressed one would pass without a check.
  if (r.headersIn['Content-Encoding']) {
    refuse(r, 415, 'compressed requests are not accepted');
  } else if (r.requestBuffer && isTooDeep(r.requestBuffer)) {
    refuse(r, 400, 'the JSON is nested more than ' + MAX_DEPTH + ' levels deep');
  } else {
    r.internalRedirect('@server');
  }
}

function isTooDeep(body) {
  let depth = 0, inString = false;
  for (let i = 0; i < body.length; i++) {
    const byte = body[i];
    if (inString) {
      if (byte === BACKSLASH) {
        i++;
      } else if (byte === QUOTE) {
        inString = false;
      }
    } else if (byte === QUOTE) {
      inString = true;
    } else if (byte === LEFT_BRACKET || byte === LEFT_BRACE) {
      depth++;
      if (depth > MAX_DEPTH) {
        return true;
      }
    } else if (byte === RIGHT_BRACKET || byte === RIGHT_BRACE) {
      depth--;
    }
  }
  return false;
}

function refuse(r, status, message) {
  r.headersOut['Content-Type'] = 'application/json';
  r.return(status, JSON.stringify({error: message}) + '\n');
}

export default {check};
