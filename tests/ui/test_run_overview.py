"""The overview of a run: the trail it is part of, metrics in brief, and what makes it different."""

import re

from flask.testing import FlaskClient

from tests.api.review.trail import Trail
