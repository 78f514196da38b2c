import { page } from './pages/parts.ts';
import { showRooms } from './pages/rooms.ts';
import { showWatch } from './pages/watch.ts';
import { parseRoute } from './route.ts';

const route = parseRoute(location.pathname, location.search);
switch (route.page) {
  case 'rooms':
    showRooms();
    break;
  case 'watch':
    showWatch(route.at, route.choice);
    break;
  case 'missing':
    page('missing-page');
    break;
}
