"""What views and plots show: Qt item models, and growing series of points."""
