# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Real servers to test against: system containers with WordPress, clients, and a bounded flood."""
