# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sends requests from given addresses of the machine that it runs on: JSON in, JSON out.

In: rows of [own address, address to ask, port, method, target, headers, body]. Out: rows of
[status, body].
"""

from __future__ import annotations

import http.client
import json
import sys
import time

answers = []
for own, address, port, method, target, headers, body in json.load(sys.stdin):
    connection = http.client.HTTPConnection(address, port, 20, source_address=(own, 0))
    connection.request(method, target, body, headers)
    answer = connection.getresponse()
    answers.append([answer.status, answer.read().decode("utf-8", "replace")])
    connection.close()
    # nginx's deny log has milliseconds, and each of its workers writes when it likes.
    time.sleep(0.002)
json.dump(answers, sys.stdout)
